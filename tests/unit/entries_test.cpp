// A pattern that is known when compiling, and one that is a value: the same solution, bit for bit, whatever the
// weights' type.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "distributions.hpp"
#include "small_floats.hpp"
#include "solve.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

constexpr std::int64_t rows = 37, cols = 52;  // with smaller tiles at both edges

template <class T>
struct all_outputs {
  std::vector<std::uint8_t> mask, packed;
  std::vector<T> pruned;
  std::vector<tsenor::tile_report> reports;
  std::vector<tsenor::price_type<T>> prices;

  explicit all_outputs(int m)
      : mask(rows * cols),
        packed(rows * tiles_along(cols, m) * 2),
        pruned(rows * cols),
        reports(tiles_along(rows, m) * tiles_along(cols, m)),
        prices(reports.size() * 2 * m) {}

  tsenor::mask_outputs<T> buffers() {
    tsenor::mask_outputs<T> out;
    out.mask = mask.data();
    out.packed = packed.data();
    out.pruned = pruned.data();
    out.reports = reports.data();
    out.prices = prices.data();
    return out;
  }
};

template <class E>
void expect_same_bits(const std::vector<E>& a, const std::vector<E>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(E)), 0) << what;
}

template <class T>
void expect_same(const all_outputs<T>& a, const all_outputs<T>& b) {
  expect_same_bits(a.mask, b.mask, "mask");
  expect_same_bits(a.packed, b.packed, "packed");
  expect_same_bits(a.pruned, b.pruned, "pruned");
  expect_same_bits(a.prices, b.prices, "prices");
  for (std::size_t t = 0; t < a.reports.size(); t++) {
    EXPECT_EQ(a.reports[t].value, b.reports[t].value) << "tile " << t;
    EXPECT_EQ(a.reports[t].bound, b.reports[t].bound) << "tile " << t;
    EXPECT_EQ(a.reports[t].replaced, b.reports[t].replaced) << "tile " << t;
  }
}

// Weights with all the bits of their type, one that is no number and one that is infinite.
template <class T>
std::vector<T> weights_of(distribution d, double scale) {
  std::vector<T> weights;
  for (double x : make_weights<double>(d, rows, cols, 14)) weights.push_back(encoded<T>(x * scale));
  weights[100] = encoded<T>(std::numeric_limits<double>::quiet_NaN());
  weights[1000] = encoded<T>(std::numeric_limits<double>::infinity());
  return weights;
}

// Cold and, for the optimum, then warm from the prices of the first call.
template <int N, int M, class T>
void expect_same_entries(const std::vector<T>& weights, tsenor::options opts) {
  const tsenor::matrix_view<const T> view(weights.data(), rows, cols);
  all_outputs<T> fixed(M), any(M);
  for (const tsenor::start from : {tsenor::start::cold, tsenor::start::warm}) {
    if (opts.method == tsenor::method::published && from == tsenor::start::warm) continue;
    opts.start = from;
    ASSERT_TRUE((find_fixed<N, M, T>({2}, view, fixed.buffers(), opts)).ok());
    ASSERT_TRUE(find_any<T>({2}, {N, M}, view, any.buffers(), opts).ok());
    expect_same(fixed, any);
  }
}

template <int N, int M, class T>
void expect_same_entries() {
  const double scales[] = {1., std::is_same_v<T, double> ? 1e-290 : 1.};
  for (const distribution d : {distribution::gaussian, distribution::integers, distribution::additive})
    for (const double scale : scales)
      for (const tsenor::constraint kept : both_constraints)
        for (tsenor::options opts : {tsenor::options{}, tsenor::options::published()}) {
          opts.constraint = kept;
          opts.edge = tsenor::edge::partial;
          expect_same_entries<N, M>(weights_of<T>(d, scale), opts);
        }
}

TEST(Entries, GiveTheSameSolution) {
  expect_same_entries<4, 8, float>();
  expect_same_entries<4, 8, double>();
  expect_same_entries<8, 16, double>();
  expect_same_entries<2, 4, double>();
  expect_same_entries<4, 8, tsenor::float16>();
  expect_same_entries<4, 8, tsenor::bfloat16>();
  expect_same_entries<4, 8, tsenor::float8_e4m3>();
  expect_same_entries<4, 8, tsenor::float8_e5m2>();
}

}  // namespace
}  // namespace tsenor_test
