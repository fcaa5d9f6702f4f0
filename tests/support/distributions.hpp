/// \file
/// Seeded signed weights, from easy to hostile, and numbers to select from.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <ostream>
#include <random>
#include <vector>

namespace tsenor_test {

enum class distribution {
  gaussian,
  student4,    ///< Student's t with 4 degrees of freedom
  uniform,     ///< magnitudes uniform in [0, 1)
  ties,        ///< magnitudes 0, 1, 2 and 3
  mostlyzero,  ///< 7 of 8 are zero, the others Gaussian
  lognormal,   ///< sigma 2
  constant,
  tiny,        ///< Gaussian * 1e-30
  huge,        ///< Gaussian * 1e30
  rank1,       ///< an outer product with 1 % noise
  additive,    ///< u_i + v_j: all masks with exactly N are equally good, but for the rounding of the sums
  outer,       ///< u_i v_j, rounded
  integers,    ///< about 2^23, 3/4 2^24 and 2^24
  last_bits,   ///< 1, and the next two numbers
  two_scales,  ///< Gaussian, half of them times 2^-20
  scaled,      ///< Gaussian, times lognormal scales of rows and of columns
  outliers     ///< Gaussian, one column in 16 times 30
};

inline constexpr std::array<distribution, 17> all_distributions = {
    distribution::gaussian,   distribution::student4,  distribution::uniform,    distribution::ties,
    distribution::mostlyzero, distribution::lognormal, distribution::constant,   distribution::tiny,
    distribution::huge,       distribution::rank1,     distribution::additive,   distribution::outer,
    distribution::integers,   distribution::last_bits, distribution::two_scales, distribution::scaled,
    distribution::outliers};

constexpr const char* name_of(distribution d) {
  constexpr const char* names[] = {"gaussian", "student4",  "uniform",    "ties",   "mostlyzero", "lognormal",
                                   "constant", "tiny",      "huge",       "rank1",  "additive",   "outer",
                                   "integers", "last_bits", "two_scales", "scaled", "outliers"};
  return names[static_cast<int>(d)];
}

/// How GoogleTest prints a distribution.
inline void PrintTo(distribution d, std::ostream* out) { *out << name_of(d); }

/// Draws the magnitude of the weight at one place after the other.
class magnitude_source {
 public:
  magnitude_source(distribution d, std::int64_t rows, std::int64_t cols, std::uint64_t seed) : d_(d), bits_(seed) {
    const bool scales = d == distribution::scaled;
    if (!scales && d != distribution::rank1 && d != distribution::additive && d != distribution::outer) return;
    const auto draw = [&] { return scales ? std::exp(gaussian_(bits_)) : std::abs(gaussian_(bits_)); };
    for (std::int64_t i = 0; i < rows; ++i) left_.push_back(draw());
    for (std::int64_t j = 0; j < cols; ++j) right_.push_back(draw());
  }

  double operator()(std::int64_t row, std::int64_t col) {
    switch (d_) {
      case distribution::gaussian:
        return std::abs(gaussian_(bits_));
      case distribution::student4:
        return std::abs(student4_(bits_));
      case distribution::uniform:
        return unit_(bits_);
      case distribution::ties:
        return double(bits_() % 4);
      case distribution::mostlyzero:
        return bits_() % 8 == 0 ? std::abs(gaussian_(bits_)) : 0.0;
      case distribution::lognormal:
        return std::exp(2 * gaussian_(bits_));
      case distribution::constant:
        return 1;
      case distribution::tiny:
        return std::abs(gaussian_(bits_)) * 1e-30;
      case distribution::huge:
        return std::abs(gaussian_(bits_)) * 1e30;
      case distribution::rank1:
        return left_[row] * right_[col] * std::abs(1 + 0.01 * gaussian_(bits_));
      case distribution::additive:
        return left_[row] + right_[col];
      case distribution::outer:
        return left_[row] * right_[col];
      case distribution::integers:
        return std::array{0x1p23, 0x3p22, 0x1p24}[bits_() % 3] + double(bits_() % 5) - 2;
      case distribution::last_bits:
        return 1 + 0x1p-23 * double(bits_() % 3);
      case distribution::two_scales:
        return std::abs(gaussian_(bits_)) * (bits_() % 2 == 0 ? 1 : 0x1p-20);
      case distribution::scaled:
        return std::abs(gaussian_(bits_)) * left_[row] * right_[col];
      case distribution::outliers:
        return std::abs(gaussian_(bits_)) * (col % 16 == 5 ? 30 : 1);
    }
    return 0;
  }

  bool negative() { return bits_() % 2 != 0; }

 private:
  distribution d_;
  std::mt19937_64 bits_;
  std::normal_distribution<double> gaussian_;
  std::student_t_distribution<double> student4_{4};
  std::uniform_real_distribution<double> unit_;
  std::vector<double> left_, right_;
};

/// A dense matrix `[rows, cols]` of signed weights. The same arguments give the same weights.
template <class T = float>
std::vector<T> make_weights(distribution d, std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  magnitude_source source(d, rows, cols, seed);
  std::vector<T> weights;
  weights.reserve(rows * cols);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      const double magnitude = source(i, j);
      weights.push_back(static_cast<T>(source.negative() ? -magnitude : magnitude));
    }
  }
  return weights;
}

// ---- selection ----

template <class Number>
std::vector<Number> descending(std::vector<Number> x) {
  std::sort(x.begin(), x.end(), std::greater<Number>());
  return x;
}

/// The n-th and the next largest of the numbers; twice the least where n is their count.
template <class Number>
std::vector<Number> around_rank_of(std::vector<Number> x, int n) {
  const auto nth = x.begin() + (n - 1), next = x.begin() + std::min<std::size_t>(n, x.size() - 1);
  std::nth_element(x.begin(), nth, x.end(), std::greater<Number>());
  const Number first = *nth;
  std::nth_element(x.begin(), next, x.end(), std::greater<Number>());
  return {first, *next};
}

/// Lists of `count` numbers: any counts of the greatest of all and of the least in the two halves, ties and none, one
/// half above the other, and rising and falling.
template <class Number>
std::vector<std::vector<Number>> cases_of_selection(int count, std::uint64_t seed) {
  using limits = std::numeric_limits<Number>;
  std::mt19937_64 random(seed);
  std::vector<std::vector<Number>> cases;
  const int half = count / 2;
  for (int a = 0; a <= half; a++)
    for (int b = 0; b <= half; b++) {
      std::vector<Number> x(count, limits::min());
      std::fill_n(x.begin(), a, limits::max());
      std::fill_n(x.begin() + half, b, limits::max());
      std::shuffle(x.begin(), x.begin() + half, random);
      std::shuffle(x.begin() + half, x.end(), random);
      cases.push_back(x);
    }
  for (int k = 0; k < 40; k++) {
    std::vector<Number> x(count);
    const auto least = k % 2 ? Number(-2) : limits::min(), most = k % 2 ? Number(2) : limits::max();
    std::uniform_int_distribution<long long> any(least, most);
    for (Number& y : x) y = Number(any(random));
    cases.push_back(x);
    std::sort(x.begin(), x.end());
    cases.push_back(x);
    cases.push_back(descending(x));
  }
  return cases;
}

}  // namespace tsenor_test
