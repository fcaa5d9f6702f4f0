// What reports say is true in exact arithmetic: the bound is no less than the optimum, and is the value only where the
// mask is the optimum; and the optimum is missed by no more than the rounding that is documented.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "distributions.hpp"
#include "exact.hpp"
#include "priced.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 57;

tsenor::options options_for(tsenor::method how, constraint c) {
  tsenor::options opts = how == tsenor::method::published ? tsenor::options::published() : tsenor::options{};
  opts.constraint = c;
  opts.edge = tsenor::edge::partial;
  return opts;
}

// Tiles of a dense matrix one after the other.
template <class Judge>
void for_each_tile(pattern nm, constraint kept, const std::vector<double>& importance, const solution& s, Judge judge) {
  std::size_t t = 0;
  for (std::int64_t ti = 0; ti < tiles_along(s.rows, nm.m); ++ti)
    for (std::int64_t tj = 0; tj < tiles_along(s.cols, nm.m); ++tj, ++t) {
      SCOPED_TRACE(testing::Message() << "tile " << t << ", " << (kept == constraint::exactly ? "exactly " : "at most ")
                                      << nm.n << ":" << nm.m);
      const tile_span rows = span_of_tile(ti, s.rows, nm.m), cols = span_of_tile(tj, s.cols, nm.m);
      std::vector<double> w;
      std::vector<std::uint8_t> mask;
      for (std::int64_t i = rows.begin; i < rows.end; ++i)
        for (std::int64_t j = cols.begin; j < cols.end; ++j) {
          w.push_back(importance[i * s.cols + j]);
          mask.push_back(s.mask[i * s.cols + j]);
        }
      judge(tile_problem{nm, kept, int(rows.size()), int(cols.size()), w.data()}, mask.data(), s.reports[t]);
    }
}

// `share`: see optimal_tolerance.
void expect_true_tiles(pattern nm, constraint kept, const std::vector<double>& importance, const solution& s,
                       std::optional<double> share) {
  for_each_tile(nm, kept, importance, s, [&](const auto& tile, const auto* mask, const auto& report) {
    expect_true(tile, mask, report, share);
  });
}

// What rounding may cost, see optimal_tolerance; at M = 4 twice as much for double and for squares.
constexpr double share_of(pattern nm, bool wide = false) { return nm.m != 4 ? 0x1p-25 : wide ? 0x1p-19 : 0x1p-20; }

class Exact : public testing::TestWithParam<distribution> {};

INSTANTIATE_TEST_SUITE_P(Of, Exact, testing::ValuesIn(all_distributions),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Exact, ReportsOfTheOptimalMethodAreTrue) {
  for (const pattern p : {pattern{1, 2}, pattern{1, 3}, pattern{1, 4}, pattern{2, 4}, pattern{3, 4}, pattern{4, 4},
                          pattern{2, 5}, pattern{4, 8}, pattern{8, 16}, pattern{16, 32}}) {
    const int down = p.m <= 4 ? 16 * p.m : 2 * p.m, across = p.m <= 4 ? 4 * p.m + 1 : 2 * p.m - 1;
    const std::vector<float> weights = make_weights(GetParam(), down, across, seed);
    for (const constraint c : both_constraints)
      expect_true_tiles(p, c, importances_of(weights),
                        solve(p, weights, down, across, options_for(tsenor::method::optimal, c)), share_of(p));
  }
}

TEST_P(Exact, ReportsOfThePublishedMethodAreTrue) {
  for (const pattern p : {pattern{1, 2}, pattern{2, 4}, pattern{4, 4}, pattern{3, 7}, pattern{4, 8}, pattern{8, 16}}) {
    const std::vector<float> weights = make_weights(GetParam(), 2 * p.m, 2 * p.m - 1, seed);
    for (const constraint c : both_constraints)
      for (const double tau : {1e-4, 0.005, 1e4}) {
        tsenor::options opts = options_for(tsenor::method::published, c);
        opts.tau = tau;
        expect_true_tiles(p, c, importances_of(weights), solve(p, weights, 2 * p.m, 2 * p.m - 1, opts), {});
      }
  }
}

template <int N, int M, class T>
void expect_true_reports_of(distribution d, double factor) {
  std::vector<double> weights = make_weights<double>(d, 4 * M, 4 * M, seed);
  std::vector<T> stored(weights.begin(), weights.end());
  for (T& w : stored) w = T(w * factor);
  for (const constraint c : both_constraints)
    for (const auto how : {tsenor::method::optimal, tsenor::method::published}) {
      const bool optimal = how == tsenor::method::optimal;
      expect_true_tiles(pattern{N, M}, c, importances_of(stored),
                        solve_fixed<N, M>(stored, 4 * M, 4 * M, options_for(how, c)),
                        optimal ? std::optional(share_of({N, M}, true)) : std::nullopt);
    }
}

// Where the range of the importances lets the oracle be exact.
constexpr distribution narrow[] = {distribution::gaussian,  distribution::uniform,    distribution::ties,
                                   distribution::constant,  distribution::additive,   distribution::outer,
                                   distribution::last_bits, distribution::two_scales, distribution::integers};

TEST(ExactDoubles, HaveTrueReportsFromTheSmallestNormalNumbersToTheLargest) {
  for (const distribution d : narrow)
    for (const double factor : {1.0, 1e-290, 1e290}) {
      SCOPED_TRACE(testing::Message() << name_of(d) << " times " << factor);
      expect_true_reports_of<2, 4, double>(d, factor);
      expect_true_reports_of<4, 8, double>(d, factor);
    }
}

TEST(ExactSquares, HaveTrueReports) {
  for (const distribution d : narrow) {
    SCOPED_TRACE(name_of(d));
    const std::vector<float> weights = make_weights(d, 32, 24, seed);
    std::vector<double> squares = importances_of(weights);
    for (double& x : squares) x *= x;
    for (const constraint c : both_constraints)
      for (const auto how : {tsenor::method::optimal, tsenor::method::published}) {
        const tsenor::options opts = options_for(how, c);
        const std::optional<double> share =
            how == tsenor::method::optimal ? std::optional(2 * share_of({4, 8})) : std::nullopt;
        expect_true_tiles(pattern{4, 8}, c, squares, solve_fixed<4, 8>(weights, 32, 24, opts, tsenor::squared{}),
                          share);
      }
  }
}

// An odd number of 24 bits is an integer of the solver's, and is not rounded to another.
TEST(ExactRounding, KeepsTheLastBitOfOddIntegers) {
  const std::vector<float> weights = {16777216, 12582911, 12582911, 8388607};
  const solution s = solve(pattern{1, 2}, weights, 2, 2);
  EXPECT_EQ(s.value(), 12582911.0 + 12582911.0 > 16777216.0 + 8388607.0 ? 2 * 12582911.0 : 16777216.0 + 8388607.0);
  EXPECT_EQ(s.reports[0].bound, s.reports[0].value);
}

// Beyond the range of double there is no true bound: its largest number stands for it.
TEST(ExactDoubles, HaveFiniteReportsWhateverTheWeights) {
  constexpr double most = std::numeric_limits<double>::max();
  for (const double x : {most, most / 2, std::numeric_limits<double>::infinity()}) {
    std::vector<double> weights(64, x);
    weights[3] = 1;
    for (const constraint c : both_constraints)
      for (const auto how : {tsenor::method::optimal, tsenor::method::published}) {
        const tsenor::tile_report r = solve_fixed<4, 8>(weights, 8, 8, options_for(how, c)).reports[0];
        EXPECT_TRUE(std::isfinite(r.value) && std::isfinite(r.bound)) << r.value << " " << r.bound;
        EXPECT_GE(r.bound, r.value);
      }
  }
}

TEST(ExactDoubles, HaveTrueReportsWhereAllAreSubnormal) {
  std::vector<double> weights(64);
  for (int k = 0; k < 64; ++k) weights[k] = std::ldexp(double(k * 7 % 13), -1074);
  for (const constraint c : both_constraints)
    expect_true_tiles(pattern{4, 8}, c, weights, solve_fixed<4, 8>(weights, 8, 8, options_for({}, c)), {});
}

// The best masks keep two of `most` and two of `small`, whose sum is no double.
template <int N, int M, class Importance>
void expect_true_beside_the_smallest(double most, double small, Importance importance) {
  std::vector<double> weights(M * M);
  weights[0] = weights[1] = most;
  weights[M] = weights[M + 1] = small;
  const double large = 2 * (std::is_same_v<Importance, tsenor::squared> ? most * most : most);
  for (const constraint c : both_constraints)
    for (const auto how : {tsenor::method::optimal, tsenor::method::published}) {
      const solution s = solve_fixed<N, M>(weights, M, M, options_for(how, c), importance);
      const tsenor::tile_report& r = s.reports[0];
      EXPECT_GT(r.bound, large) << "the optimum keeps more";
      if (s.mask[0] + s.mask[1] == 2 && s.mask[M] + s.mask[M + 1] > 0) {
        EXPECT_GT(r.value, large);
      }
      if (r.bound == r.value) {
        EXPECT_EQ(s.mask[0] + s.mask[1] + s.mask[M] + s.mask[M + 1], 4) << "a gap of 0, and a better mask";
      }
    }
}

TEST(ExactDoubles, HaveTrueReportsBesideNumbersThatAreFarSmaller) {
  const double most = std::ldexp(1., 1000), root = std::ldexp(1., 500);
  expect_true_beside_the_smallest<2, 4>(most, std::ldexp(1., -20), tsenor::magnitude{});
  expect_true_beside_the_smallest<4, 8>(most, std::ldexp(1., -20), tsenor::magnitude{});
  expect_true_beside_the_smallest<4, 8>(root, std::ldexp(1., -10), tsenor::squared{});
  const double least = std::numeric_limits<double>::denorm_min();  // 2^2074 times smaller
  expect_true_beside_the_smallest<2, 4>(most, least, tsenor::magnitude{});
  expect_true_beside_the_smallest<4, 8>(most, least, tsenor::magnitude{});
  expect_true_beside_the_smallest<4, 8>(root, least, tsenor::squared{});
}

// Squares are rounded to 2^-24 of the tile's largest.
TEST(ExactSquares, OfSubnormalFloatsHaveTrueReportsAndMissTheOptimumByNoMoreThanOthers) {
  for (const int count : {8, 9, 4099}) {  // of different weights
    std::vector<float> weights(64);
    for (int k = 0; k < 64; ++k) weights[k] = std::ldexp(float((k + 1) * 7919 % count), -149);
    std::vector<double> squares = importances_of(weights);
    for (double& x : squares) x *= x;
    for (const constraint c : both_constraints) {
      const solution s = solve_fixed<4, 8>(weights, 8, 8, options_for({}, c), tsenor::squared{});
      expect_true_tiles(pattern{4, 8}, c, squares, s, 2 * share_of({4, 8}));
      const solution four = solve_fixed<2, 4>(weights, 8, 8, options_for({}, c), tsenor::squared{});
      expect_true_tiles(pattern{2, 4}, c, squares, four, share_of({2, 4}, true));
    }
  }
}

template <class T, class Importance>
void expect_same_reports_with_prices(const std::vector<T>& weights, int side, Importance importance) {
  constexpr int m = 8;
  for (const constraint c : both_constraints) {
    const solution without = solve_fixed<4, 8>(weights, side, side, options_for({}, c), importance);
    std::vector<tsenor::price_type<T>> prices(without.reports.size() * 2 * m);
    solution with(m, side, side);
    tsenor::mask_outputs<T> out;
    out.mask = with.mask.data();
    out.reports = with.reports.data();
    out.prices = prices.data();
    const tsenor::matrix_view<const T> view(weights.data(), side, side);
    ASSERT_TRUE((find_fixed<4, 8>(tsenor::cpu_executor{2}, view, out, options_for({}, c), importance).ok()));
    EXPECT_EQ(with.mask, without.mask);
    for (std::size_t t = 0; t < with.reports.size(); ++t)
      EXPECT_EQ(std::memcmp(&with.reports[t], &without.reports[t], sizeof(tsenor::tile_report)), 0) << "tile " << t;
  }
}

TEST(ExactReports, AreTheSameBitForBitIfPricesAreAskedFor) {
  constexpr int side = 128;
  for (const distribution d : {distribution::gaussian, distribution::ties, distribution::two_scales}) {
    SCOPED_TRACE(name_of(d));
    std::vector<float> weights = make_weights(d, side, side, seed);
    expect_same_reports_with_prices(weights, side, tsenor::magnitude{});
    expect_same_reports_with_prices(weights, side, tsenor::squared{});
    for (float& w : weights) w = std::round(w * 8) / 7;  // no float
    expect_same_reports_with_prices(std::vector<double>(weights.begin(), weights.end()), side, tsenor::magnitude{});
  }
}

}  // namespace
}  // namespace tsenor_test
