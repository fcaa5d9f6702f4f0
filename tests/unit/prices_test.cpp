// mask_outputs::prices: an independent judge recomputes from them that every mask is the optimum.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "distributions.hpp"
#include "priced.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 41;

tsenor::options options_for(constraint c) {
  tsenor::options opts = tsenor::options::optimal();
  opts.constraint = c;
  opts.edge = tsenor::edge::partial;
  return opts;
}

class Prices : public testing::TestWithParam<distribution> {};

INSTANTIATE_TEST_SUITE_P(Of, Prices, testing::ValuesIn(all_distributions),
                         [](const auto& info) { return std::string(name_of(info.param)); });

constexpr pattern families[] = {{1, 2},   {2, 4},  {1, 4},  {3, 4},   {4, 4},   {3, 6},   {2, 8},
                                {4, 8},   {7, 8},  {8, 8},  {5, 10},  {8, 16},  {4, 16},  {16, 16},
                                {16, 32}, {8, 32}, {1, 32}, {31, 32}, {20, 40}, {32, 64}, {50, 64}};

// Whole tiles beside smaller ones on both sides.
TEST_P(Prices, ProveThatTheMaskIsTheOptimum) {
  for (const pattern p : families) {
    const int rows = p.m + (p.m + 1) / 2, cols = 3 * p.m - 1;
    const std::vector<float> weights = make_weights(GetParam(), rows, cols, seed);
    for (const constraint c : both_constraints) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << (c == constraint::exactly ? " exactly" : " at most")
                                      << " seed " << seed);
      expect_certified(p, c, importances_of(weights), solve_priced(p, weights, rows, cols, options_for(c)));
    }
  }
}

// The prices of the published method prove nothing but a bound.
TEST_P(Prices, OfThePublishedMethodBoundTheOptimum) {
  for (const pattern p : {pattern{2, 4}, pattern{3, 7}, pattern{4, 8}, pattern{8, 16}, pattern{16, 32}}) {
    const int rows = p.m + (p.m + 1) / 2, cols = 2 * p.m;
    const std::vector<float> weights = make_weights(GetParam(), rows, cols, seed);
    for (const constraint c : both_constraints) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << (c == constraint::exactly ? " exactly" : " at most")
                                      << " seed " << seed);
      tsenor::options published = published_options(c);
      published.edge = tsenor::edge::partial;
      const auto found = solve_priced(p, weights, rows, cols, published);
      const solution best = solve(p, weights, rows, cols, options_for(c));
      const std::vector<certificate> verdicts = judge_tiles(p, c, importances_of(weights), found);
      for (std::size_t t = 0; t < verdicts.size(); ++t) {
        EXPECT_TRUE(verdicts[t].error.empty() || verdicts[t].error == "the bound is too far above the value")
            << verdicts[t].error << ", tile " << t;
        EXPECT_GE(verdicts[t].bound, best.reports[t].value * (1 - 1e-5)) << "tile " << t;
        EXPECT_NEAR(found.reports[t].bound, std::max(verdicts[t].bound, verdicts[t].value),
                    1e-5 * found.reports[t].bound)
            << "tile " << t;
      }
    }
  }
}

// Asked for or not.
TEST(PricesAsked, LeaveTheMaskAsItIs) {
  for (const pattern p : {pattern{1, 4}, pattern{2, 4}, pattern{3, 4}, pattern{2, 5}, pattern{4, 8}, pattern{8, 16},
                          pattern{16, 32}, pattern{32, 64}})
    for (const constraint c : both_constraints) {
      const std::vector<float> weights = make_weights(distribution::ties, 2 * p.m, p.m, seed);
      EXPECT_EQ(solve_priced(p, weights, 2 * p.m, p.m, options_for(c)).mask,
                solve(p, weights, 2 * p.m, p.m, options_for(c)).mask)
          << p.n << ":" << p.m << " seed " << seed;
    }
}

TEST(PricesAsked, AreInTheOrderOfTheReportsOfABatch) {
  constexpr pattern p{4, 8};
  constexpr std::int64_t rows = 16, cols = 24, batch = 3, size = batch * 6 * 2 * 8;
  const std::vector<float> weights = make_weights(distribution::gaussian, batch * rows, cols, seed);
  std::vector<float> prices(size + 2, -7.f), expected;
  tsenor::mask_outputs<float> out;
  out.prices = prices.data() + 1;

  ASSERT_TRUE(
      find_any<float>(tsenor::cpu_executor{2}, p, {weights.data(), rows, cols, cols, batch, rows * cols}, out).ok());

  for (int b = 0; b < batch; ++b) {
    const auto first = weights.begin() + b * rows * cols;
    const auto one = solve_priced(p, {first, first + rows * cols}, rows, cols, {}).prices;
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_EQ(std::vector<float>(prices.begin() + 1, prices.end() - 1), expected);
  EXPECT_EQ(prices.front(), -7.f);
  EXPECT_EQ(prices.back(), -7.f);
}

template <class T, class Importance>
void expect_certified_importance(const std::vector<T>& weights, const std::vector<double>& importance,
                                 Importance functor) {
  for (const constraint c : both_constraints) {
    const auto s = solve_priced_with<T>(8, 20, 16, {}, [&](const auto& out) {
      return find_fixed<4, 8>(tsenor::cpu_executor{2}, tsenor::matrix_view<const T>(weights.data(), 20, 16), out,
                              options_for(c), functor);
    });
    expect_certified(pattern{4, 8}, c, importance, s);
  }
}

TEST(PricesUnits, AreThoseOfTheImportance) {
  const std::vector<float> weights = make_weights(distribution::student4, 20, 16, seed);
  std::vector<double> squares = importances_of(weights);
  for (double& x : squares) x *= x;
  expect_certified_importance(weights, squares, tsenor::squared{});
}

TEST(PricesUnits, ReachAsFarAsDoubleWeights) {
  for (const double factor : {1e-300, 1.0, 1e305}) {
    std::vector<double> weights = make_weights<double>(distribution::uniform, 20, 16, seed);
    for (double& w : weights) w *= factor;
    expect_certified_importance(weights, importances_of(weights), tsenor::magnitude{});
  }
}

// Also where a sum of two importances is none.
TEST(PricesUnits, AreFiniteForTheLargestWeights) {
  std::vector<float> weights = make_weights(distribution::uniform, 20, 16, seed);
  for (float& w : weights) w *= std::numeric_limits<float>::max();
  weights[7] = std::numeric_limits<float>::infinity();
  expect_certified_importance(weights, importances_of(weights), tsenor::magnitude{});
}

// A column of infinities, which count as the largest float, has a price of a little more than that.
TEST(PricesUnits, AreFiniteForColumnsOfInfinitiesByThePublishedMethod) {
  std::vector<float> weights(64, 4.0f);
  for (int i = 0; i < 8; ++i) weights[i * 8 + 3] = std::numeric_limits<float>::infinity();
  tsenor::options opts = published_options(constraint::at_most);
  opts.iterations = 20;
  opts.tau = 1e-4;
  const auto s = solve_priced(pattern{4, 8}, weights, 8, 8, opts);
  for (const float price : s.prices) EXPECT_TRUE(std::isfinite(price)) << price;
}

}  // namespace
}  // namespace tsenor_test
