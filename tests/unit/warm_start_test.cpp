// start::warm: the optimum from whatever prices, in fewer steps from those of nearly the same weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "distributions.hpp"
#include "priced.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 43;
constexpr pattern patterns[] = {{2, 4}, {3, 7}, {4, 8}, {8, 16}, {16, 32}, {10, 40}, {32, 64}};

tsenor::options options_for(constraint c) {
  tsenor::options opts = tsenor::options::optimal();
  opts.constraint = c;
  opts.edge = tsenor::edge::partial;
  return opts;
}

// Each weight changed by about a thousandth of itself.
std::vector<float> nearly(std::vector<float> weights) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<float> change(0, 1e-3f);
  for (float& w : weights) w *= 1 + change(bits);
  return weights;
}

long total_iterations(const solution& s) {
  long sum = 0;
  for (const tsenor::tile_report& r : s.reports) sum += r.iterations;
  return sum;
}

// A matrix with smaller tiles at its edges.
struct edged {
  pattern p;
  constraint kept;
  std::int64_t rows, cols;
  edged(pattern p_, constraint kept_) : p(p_), kept(kept_), rows(2 * p.m), cols(p.m + p.m / 2) {}

  std::vector<float> weights(distribution d, std::uint64_t s = seed) const { return make_weights(d, rows, cols, s); }
  priced_solution<float> cold(const std::vector<float>& w) const {
    return solve_priced(p, w, rows, cols, options_for(kept));
  }
  priced_solution<float> warm(const std::vector<float>& w, const std::vector<float>& start) const {
    return solve_warm(p, w, rows, cols, options_for(kept), start);
  }
  // Optimal, and as good as the cold start's.
  void expect_optimum(const std::vector<float>& w, const priced_solution<float>& s) const {
    expect_certified(p, kept, importances_of(w), s);
    EXPECT_NEAR(s.value(), cold(w).value(), 1e-6 * s.value());
  }
};

class WarmStart : public testing::TestWithParam<distribution> {};

INSTANTIATE_TEST_SUITE_P(Of, WarmStart, testing::ValuesIn(all_distributions),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(WarmStart, FindsTheOptimumOfSlightlyChangedWeights) {
  for (const pattern p : patterns)
    for (const constraint c : both_constraints) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " seed " << seed);
      const edged matrix(p, c);
      const std::vector<float> before = matrix.weights(GetParam()), after = nearly(before);

      const auto s = matrix.warm(after, matrix.cold(before).prices);

      matrix.expect_optimum(after, s);
    }
}

TEST_P(WarmStart, FindsTheOptimumFromPricesOfOtherWeights) {
  for (const pattern p : patterns)
    for (const constraint c : both_constraints) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " seed " << seed);
      const edged matrix(p, c);
      const std::vector<float> weights = matrix.weights(GetParam());
      const auto other = matrix.cold(matrix.weights(distribution::lognormal, seed + 1));

      const auto s = matrix.warm(weights, other.prices);

      matrix.expect_optimum(weights, s);
    }
}

// Numbers that no one would call prices, tile by tile of another kind.
std::vector<float> odd_prices(std::size_t count, std::size_t per_tile) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), largest = std::numeric_limits<float>::max();
  const float odd[] = {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, largest, -largest, 1e-45f, -0.f};
  std::mt19937_64 bits(seed);
  std::vector<float> prices(count);
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t kind = k / per_tile % 3;
    const float random = float(std::int64_t(bits())) * 1e-18f;  // within +-9.3
    prices[k] = kind == 0 ? random : kind == 1 ? odd[3 + bits() % 4] : odd[bits() % 7];
  }
  return prices;
}

TEST_P(WarmStart, FindsTheOptimumFromAnyPrices) {
  for (const pattern p : patterns)
    for (const constraint c : both_constraints) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " seed " << seed);
      const edged matrix(p, c);
      const std::vector<float> weights = matrix.weights(GetParam());
      const std::size_t size = matrix.cold(weights).prices.size();

      const auto s = matrix.warm(weights, odd_prices(size, 2 * p.m));

      matrix.expect_optimum(weights, s);
    }
}

// One price of a tile that is no number, on either side: it alone starts cold.
TEST(WarmStartOfATile, IsColdWhereAPriceIsNotFinite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const pattern p : patterns)
    for (const constraint c : both_constraints)
      for (const float odd : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity}) {
        SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " " << odd << " seed " << seed);
        const edged matrix(p, c);
        const std::vector<float> weights = matrix.weights(distribution::ties);
        const auto cold = matrix.cold(weights);
        std::vector<float> start = matrix.cold(matrix.weights(distribution::gaussian, seed + 1)).prices;
        for (int tile = 0; tile < 4; ++tile) start[tile * 2 * p.m + tile * p.m / 2] = odd;  // u, u, v, v

        const auto s = matrix.warm(weights, start);

        EXPECT_EQ(s.mask, cold.mask);
        EXPECT_EQ(s.prices, cold.prices);
        EXPECT_EQ(total_iterations(s), total_iterations(cold));
        start[0] = 0;  // the first tile is warm now, the others are not
        const auto mixed = matrix.warm(weights, start);
        for (int tile = 1; tile < 4; ++tile) EXPECT_EQ(mixed.reports[tile].iterations, cold.reports[tile].iterations);
        EXPECT_TRUE(std::equal(mixed.prices.begin() + 2 * p.m, mixed.prices.end(), cold.prices.begin() + 2 * p.m));
      }
}

TEST(WarmStartCost, IsWellBelowTheColdStarts) {
  constexpr pattern p{16, 32};
  constexpr std::int64_t rows = 64 * 32, cols = 32;
  for (const constraint c : both_constraints)
    for (const distribution d : {distribution::gaussian, distribution::student4, distribution::uniform}) {
      const std::vector<float> before = make_weights(d, rows, cols, seed), after = nearly(before);
      const auto start = solve_priced(p, before, rows, cols, options_for(c));
      const auto cold = solve_priced(p, after, rows, cols, options_for(c));

      const auto warm = solve_warm(p, after, rows, cols, options_for(c), start.prices);

      EXPECT_GT(total_iterations(cold), 0) << "nothing to save: the test compares nothing";
      EXPECT_LE(total_iterations(warm), total_iterations(cold) * 3 / 4) << name_of(d) << " seed " << seed;
      EXPECT_NEAR(warm.value(), cold.value(), 1e-6 * cold.value()) << name_of(d) << " seed " << seed;
      RecordProperty(name_of(d),
                     std::to_string(total_iterations(warm)) + " of " + std::to_string(total_iterations(cold)));
    }
}

TEST(WarmStartCost, IsSmallFromTheOwnPrices) {
  constexpr pattern p{16, 32};
  constexpr std::int64_t rows = 64 * 32, cols = 32;
  const std::vector<float> weights = make_weights(distribution::gaussian, rows, cols, seed);
  const auto cold = solve_priced(p, weights, rows, cols, {});

  const auto warm = solve_warm(p, weights, rows, cols, {}, cold.prices);

  EXPECT_LE(total_iterations(warm), total_iterations(cold) / 3);
  EXPECT_EQ(warm.mask, cold.mask);
}

}  // namespace
}  // namespace tsenor_test
