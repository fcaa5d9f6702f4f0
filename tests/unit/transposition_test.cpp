// The transposed matrix.
#include <gtest/gtest.h>

#include <cmath>

#include "distributions.hpp"
#include "reference_published.hpp"
#include "solve.hpp"

namespace tsenor_test {
namespace {

using tsenor::pattern;

constexpr std::uint64_t seed = 77;

template <class T>
std::vector<T> transposed(const std::vector<T>& a, std::int64_t rows, std::int64_t cols) {
  std::vector<T> result(a.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) result[j * rows + i] = a[i * cols + j];
  }
  return result;
}

TEST(Transposition, OfAMaskIsFeasible) {
  for (const pattern p :
       {pattern{2, 4}, pattern{3, 6}, pattern{4, 8}, pattern{8, 16}, pattern{16, 32}, pattern{20, 64}}) {
    const std::int64_t rows = 3 * p.m, cols = 2 * p.m;
    const std::vector<float> weights = make_weights(distribution::student4, rows, cols, seed);
    for (tsenor::constraint c : both_constraints) {
      const solution s = solve(p, weights, rows, cols, published_options(c));

      const std::vector<std::uint8_t> mask = transposed(s.mask, rows, cols);

      EXPECT_FEASIBLE(tsenor::matrix_view<const std::uint8_t>(mask.data(), cols, rows), p, c) << "seed " << seed;
    }
  }
}

// The iteration projects rows first, so the transposed tile's plan is another one: the reference on the transposed
// tiles judges, not the mask of the tiles as they were.
TEST(Transposition, OfTheInputKeepsTheReferenceValue) {
  for (const pattern p : {pattern{2, 4}, pattern{4, 8}, pattern{8, 16}, pattern{8, 32}}) {
    const std::int64_t tiles = 12800 / (p.m * p.m), rows = tiles * p.m;
    const std::vector<float> weights = transposed(make_weights(distribution::gaussian, rows, p.m, seed), rows, p.m);
    for (tsenor::constraint c : both_constraints) {
      const tsenor::options opts = published_options(c);

      const solution s = solve(p, weights, p.m, rows, opts);

      double expected = 0;
      for (std::int64_t t = 0; t < tiles; ++t) {
        std::vector<double> tile;
        for (int i = 0; i < p.m; ++i) {
          for (int j = 0; j < p.m; ++j) tile.push_back(importance_of(weights[i * rows + t * p.m + j]));
        }
        expected += reference_published(tile.data(), p, opts).rounding.value;
      }
      EXPECT_NEAR(s.value(), expected, 0.0002 * expected) << p.n << ":" << p.m << " seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tsenor_test
