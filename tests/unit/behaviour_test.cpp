// What a user can rely on about values: defaults, reports, odd numbers, determinism, scaling, entries.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "distributions.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 99;
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

TEST(Options, AskForTheCertifiedOptimumWithExactlyNByDefault) {
  for (const tsenor::options o : {tsenor::options{}, tsenor::options::optimal()}) {
    EXPECT_EQ(o.method, tsenor::method::optimal);
    EXPECT_EQ(o.constraint, tsenor::constraint::exactly);
    EXPECT_EQ(o.edge, tsenor::edge::reject);
    EXPECT_EQ(o.start, tsenor::start::cold);
  }
}

TEST(Options, AreThePapersWhenPublished) {
  const tsenor::options o = tsenor::options::published();
  EXPECT_EQ(o.method, tsenor::method::published);
  EXPECT_EQ(o.constraint, tsenor::constraint::at_most);
  EXPECT_EQ(o.start, tsenor::start::cold);
  EXPECT_EQ(o.iterations, 300);
  EXPECT_EQ(o.tau, 0.005);
  EXPECT_EQ(o.local_search_steps, 10);
}

TEST(Reports, AreInTileOrderAndRecomputable) {
  const pattern p{4, 8};
  constexpr std::int64_t rows = 24, cols = 40, batch = 2, tile_cols = 5;
  const std::vector<float> weights = make_weights(distribution::student4, batch * rows, cols, seed);
  const tsenor::matrix_view<const float> view(weights.data(), rows, cols, cols, batch, rows * cols);
  const std::vector<double> importance = importances_of(weights);
  std::vector<std::uint8_t> mask(weights.size());
  std::vector<tsenor::tile_report> reports(batch * 3 * tile_cols);
  tsenor::mask_outputs<float> out;
  out.mask = mask.data();
  out.reports = reports.data();

  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{2}, p, view, out, tsenor::options::published()).ok());

  std::vector<double> expected(reports.size(), 0.0);
  for (std::int64_t k = 0; k < batch * rows * cols; ++k) {
    expected[k / cols / p.m * tile_cols + k % cols / p.m] += mask[k] ? importance[k] : 0.0;
  }
  for (std::size_t t = 0; t < reports.size(); ++t) {
    EXPECT_NEAR(reports[t].value, expected[t], 1e-12 * expected[t]) << "tile " << t;
    EXPECT_GE(reports[t].bound, reports[t].value * (1 - 1e-6)) << "tile " << t;
    EXPECT_EQ(reports[t].iterations, 300) << "tile " << t;
    EXPECT_EQ(reports[t].replaced, 0) << "tile " << t;
    EXPECT_EQ(reports[t].flags, 0u) << "tile " << t;
  }
}

TEST(Reports, CountMovesWithinTheLimit) {
  const pattern p{8, 16};
  const std::vector<float> weights = make_weights(distribution::gaussian, 64 * p.m, p.m, seed);
  tsenor::options opts = published_options(constraint::at_most);
  opts.iterations = 10;
  int most = 0;
  for (int limit : {0, 1, 2}) {
    opts.local_search_steps = limit;
    for (const tsenor::tile_report& r : solve_tiles(p, weights, opts).reports) {
      EXPECT_LE(r.moves, limit);
      most = std::max(most, r.moves);
    }
  }
  EXPECT_EQ(most, 2) << "no tile used its moves: the test compares nothing";
}

TEST(LocalSearch, NeverLosesValue) {
  const pattern p{8, 16};
  const std::vector<float> weights = make_weights(distribution::gaussian, 64 * p.m, p.m, seed);
  tsenor::options opts = published_options(constraint::at_most);
  opts.local_search_steps = 0;
  const solution greedy = solve_tiles(p, weights, opts);
  opts.local_search_steps = 10;
  const solution searched = solve_tiles(p, weights, opts);
  for (std::size_t t = 0; t < greedy.reports.size(); ++t) {
    EXPECT_GE(searched.reports[t].value, greedy.reports[t].value) << "tile " << t;
  }
  EXPECT_GT(searched.value(), greedy.value());
}

// Tile t of 8 x 8 holds t odd numbers.
TEST(OddNumbers, CountAsTheirReplacementsAndAreReported) {
  const float odd[] = {nan, -nan, infinity, -infinity, std::numeric_limits<float>::signaling_NaN()};
  std::vector<float> weights = make_weights(distribution::gaussian, 6 * 8, 8, seed);
  for (int t = 0; t < 6; ++t) {
    for (int k = 0; k < t; ++k) weights[t * 64 + k * 11] = odd[k];
  }
  const std::vector<double> importance = importances_of(weights);

  const solution s = solve_tiles(pattern{4, 8}, weights, published_options(constraint::exactly));

  EXPECT_FEASIBLE(s.view(), (pattern{4, 8}), constraint::exactly);
  for (int t = 0; t < 6; ++t) {
    const double value = kept_value(&importance[t * 64], &s.mask[t * 64], 64);
    EXPECT_EQ(s.reports[t].replaced, t);
    EXPECT_EQ((s.reports[t].flags & tsenor::report_replaced_inputs) != 0, t > 0);
    EXPECT_NEAR(s.reports[t].value, value, 1e-12 * value) << "tile " << t;
    EXPECT_TRUE(std::isfinite(s.reports[t].bound)) << "tile " << t;
    for (int k = 0; k < t; ++k) {
      if (std::isinf(odd[k])) {
        EXPECT_EQ(s.mask[t * 64 + k * 11], 1) << "infinity dropped in tile " << t;
      }
    }
  }
}

TEST(OddNumbers, GiveTheMaskOfTheirReplacements) {
  std::vector<float> odd = make_weights(distribution::gaussian, 8, 8, seed), replaced = odd;
  for (int k : {3, 17, 40}) odd[k] = nan, replaced[k] = 0;
  EXPECT_EQ(solve_tiles(pattern{4, 8}, odd).mask, solve_tiles(pattern{4, 8}, replaced).mask);
  odd[5] = -infinity, replaced[5] = std::numeric_limits<float>::max();
  EXPECT_EQ(solve_tiles(pattern{4, 8}, odd).mask, solve_tiles(pattern{4, 8}, replaced).mask);
}

TEST(FlatTiles, GiveValidMasks) {
  for (const pattern p : {pattern{2, 4}, pattern{4, 5}, pattern{4, 8}, pattern{8, 9}, pattern{5, 10}, pattern{8, 16},
                          pattern{15, 23}, pattern{16, 32}, pattern{32, 64}}) {
    // The plan is n / m everywhere: its potentials are off by tau * log(m / n) from those of the optimum.
    const double entropy = 0.005 * std::log(double(p.m) / p.n);
    for (float level : {0.0f, -0.0f, 1.0f, -3.0f, 1e-44f, 3e38f}) {
      const std::vector<float> weights(p.m * p.m, level);
      for (constraint c : both_constraints) {
        const solution s = solve(p, weights, p.m, p.m, published_options(c));
        const double all = double(std::abs(level)) * p.n * p.m;
        EXPECT_FEASIBLE(s.view(), p, c) << "level " << level;
        EXPECT_GE(s.reports[0].bound, all * (1 - 1e-6)) << "level " << level;
        EXPECT_LE(s.reports[0].bound, all * (1 + entropy + 1e-5)) << "level " << level;
        if (c == constraint::exactly) {
          EXPECT_NEAR(s.reports[0].value, all, 1e-12 * all) << "level " << level;
        }
      }
    }
  }
}

TEST(Runs, GiveTheSameBits) {
  const std::vector<float> weights = make_weights(distribution::ties, 64, 96, seed);
  const solution first = solve(pattern{16, 32}, weights, 64, 96);
  for (int run = 0; run < 5; ++run) {
    const solution again = solve(pattern{16, 32}, weights, 64, 96);
    EXPECT_EQ(again.mask, first.mask);
    for (std::size_t t = 0; t < first.reports.size(); ++t) {
      EXPECT_EQ(again.reports[t].value, first.reports[t].value);
      EXPECT_EQ(again.reports[t].bound, first.reports[t].bound);
    }
  }
}

constexpr int scaled_rows = 32;

// `find(weights)` solves a matrix of scaled_rows x 32.
template <class T, class Find>
void expect_scaling_keeps_the_mask(const std::vector<int>& exponents, Find find) {
  const std::vector<T> weights = make_weights<T>(distribution::gaussian, scaled_rows, 32, seed);
  const solution base = find(weights);
  for (int e : exponents) {
    std::vector<T> scaled = weights;
    for (T& w : scaled) w = std::ldexp(w, e);
    EXPECT_EQ(find(scaled).mask, base.mask) << "times 2^" << e;
  }
}

TEST(Scaling, ByPowersOfTwoKeepsTheMaskOfFloats) {
  for (const pattern p : {pattern{2, 4}, pattern{4, 8}, pattern{8, 16}, pattern{8, 32}}) {
    expect_scaling_keeps_the_mask<float>({1, -1, 20, -20, 100, -100},
                                         [p](const auto& w) { return solve(p, w, scaled_rows, 32); });
  }
}

TEST(Scaling, ByPowersOfTwoKeepsTheMaskOfDoubles) {
  expect_scaling_keeps_the_mask<double>({1, -20, 1000, -990},
                                        [](const auto& w) { return solve_fixed<4, 8>(w, scaled_rows, 32); });
}

TEST(Scaling, ByPowersOfTwoKeepsTheMaskOfSquares) {
  expect_scaling_keeps_the_mask<float>(
      {1, -20, 100, -100}, [](const auto& w) { return solve_fixed<4, 8>(w, scaled_rows, 32, {}, tsenor::squared{}); });
}

TEST(Scaling, ByAPowerOfTwoScalesTheReports) {
  std::vector<float> weights = make_weights(distribution::gaussian, 64, 8, seed);
  const solution base = solve_tiles(pattern{4, 8}, weights);
  for (float& w : weights) w = std::ldexp(w, 50);
  const solution scaled = solve_tiles(pattern{4, 8}, weights);
  for (std::size_t t = 0; t < base.reports.size(); ++t) {
    EXPECT_EQ(scaled.reports[t].value, std::ldexp(base.reports[t].value, 50)) << "tile " << t;
    EXPECT_EQ(scaled.reports[t].bound, std::ldexp(base.reports[t].bound, 50)) << "tile " << t;
  }
}

template <class T>
class WeightTypes : public testing::Test {};
using all_types =
    testing::Types<float, double, tsenor::float16, tsenor::bfloat16, tsenor::float8_e4m3, tsenor::float8_e5m2>;
TYPED_TEST_SUITE(WeightTypes, all_types);

// The solver sees importances only: a type's exact values in double give the same mask.
TYPED_TEST(WeightTypes, GiveTheMaskOfTheirValuesInFloat) {
  std::vector<TypeParam> weights;
  std::vector<float> as_float;
  for (float w : make_weights(distribution::gaussian, 32, 64, seed)) {
    weights.push_back(encoded<TypeParam>(w));
    as_float.push_back(static_cast<float>(decoded(weights.back())));
  }
  const solution s = solve_fixed<4, 8>(weights, 32, 64);
  EXPECT_EQ(s.mask, solve(pattern{4, 8}, as_float, 32, 64).mask);
  EXPECT_FEASIBLE(s.view(), (pattern{4, 8}), constraint::exactly);
}

TEST(DoubleWeights, KeepTheirRange) {
  for (double factor : {1e300, 1e-300}) {
    std::vector<double> weights = make_weights<double>(distribution::gaussian, 64, 8, seed);
    for (double& w : weights) w *= factor;
    const std::vector<double> importance = importances_of(weights);
    const solution s = solve_fixed<4, 8>(weights, 64, 8, published_options(constraint::exactly));
    EXPECT_FEASIBLE(s.view(), (pattern{4, 8}), constraint::exactly);
    for (int t = 0; t < 8; ++t) {
      const double value = kept_value(&importance[t * 64], &s.mask[t * 64], 64);
      EXPECT_NEAR(s.reports[t].value, value, 1e-12 * value);
      EXPECT_GE(s.reports[t].bound, value * (1 - 1e-6));
      EXPECT_LE(s.reports[t].bound, value * 1.1);
    }
  }
}

}  // namespace
}  // namespace tsenor_test
