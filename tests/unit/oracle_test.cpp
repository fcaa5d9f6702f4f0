// The judges judged: brute force, LEMON, the golden set and the double-precision reference against each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "brute_force.hpp"
#include "checker.hpp"
#include "distributions.hpp"
#include "golden.hpp"
#include "reference_published.hpp"
#ifdef TSENOR_HAVE_LEMON
#include "lemon_optimum.hpp"
#endif

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 20250523;

tsenor::options options_for(constraint c) {
  tsenor::options opts = tsenor::options::published();
  opts.constraint = c;
  return opts;
}

TEST(BruteForce, CountsKnownNumbersOfMasks) {
  EXPECT_EQ(brute_force({2, 4}, constraint::exactly).feasible_masks(), 90u);   // OEIS A001499
  EXPECT_EQ(brute_force({1, 4}, constraint::exactly).feasible_masks(), 24u);   // permutations
  EXPECT_EQ(brute_force({1, 4}, constraint::at_most).feasible_masks(), 209u);  // OEIS A002720, partial permutations
}

TEST(BruteForce, AgreesWithGoldenOptimaAtM4) {
  int compared = 0;
  for (const golden_name& name : golden_names(TSENOR_GOLDEN_DIR)) {
    if (name.p.m != 4) continue;
    const golden_set set = read_golden(TSENOR_GOLDEN_DIR, name);
    const std::vector<double> w(set.weights.begin(), set.weights.end());
    for (constraint c : {constraint::exactly, constraint::at_most}) {
      const brute_force all(name.p, c);
      for (std::int64_t t = 0; t < set.tiles; ++t, ++compared) {
        const double optimum = all.optimum(&w[t * 16]);
        EXPECT_NEAR(set.optimum(c)[t], optimum, 1e-10 * optimum) << name.stem << " tile " << t;
      }
    }
  }
  EXPECT_GE(compared, 3 * 10 * 2);
}

#ifdef TSENOR_HAVE_LEMON
TEST(Lemon, AgreesWithGoldenOptima) {
  for (const golden_name& name : golden_names(TSENOR_GOLDEN_DIR)) {
    const golden_set set = read_golden(TSENOR_GOLDEN_DIR, name);
    for (constraint c : {constraint::exactly, constraint::at_most}) {
      lemon_optimum lemon(name.p.m, name.p.m, name.p.n, c);
      for (std::int64_t t = 0; t < set.tiles; ++t) {
        const double optimum = set.optimum(c)[t];
        EXPECT_NEAR(lemon.solve(&set.weights[t * name.p.m * name.p.m]), optimum, 1e-9 * optimum)
            << name.stem << " " << t;
      }
    }
  }
}

TEST(Lemon, SolvesRectanglesAsTilesPaddedWithZeros) {
  constexpr int rows = 5, cols = 8, m = 8, n = 3;
  const std::vector<double> w = importances_of(make_weights<double>(distribution::gaussian, rows, cols, seed));
  std::vector<double> padded(m * m, 0.0);
  std::copy(w.begin(), w.end(), padded.begin());
  lemon_optimum rectangle(rows, cols, n, constraint::at_most), square(m, m, n, constraint::at_most);

  std::vector<std::uint8_t> mask(w.size(), 255);
  const double optimum = rectangle.solve(w.data(), mask.data());

  EXPECT_NEAR(optimum, square.solve(padded.data()), 1e-9 * optimum);
  EXPECT_NEAR(optimum, kept_value(w.data(), mask.data(), mask.size()), 1e-12 * optimum);
  EXPECT_FEASIBLE(tsenor::matrix_view<const std::uint8_t>(mask.data(), rows, cols), (pattern{n, m}),
                  constraint::at_most);
}

// What the published method is known to leave to the optimum on |N(0, 1)|, within its sampling error.
TEST(Reference, LeavesTheKnownGap) {
  const struct {
    pattern p;
    int tiles;
    double gap;
  } cases[] = {{{4, 8}, 2048, 0.0011}, {{8, 16}, 512, 0.0015}, {{16, 32}, 64, 0.0009}, {{8, 32}, 64, 0.0016}};
  for (const auto& [p, tiles, gap] : cases) {
    const std::vector<double> w = importances_of(make_weights<double>(distribution::gaussian, tiles * p.m, p.m, seed));
    lemon_optimum lemon(p.m, p.m, p.n, constraint::exactly);
    double optimum = 0, value = 0;
    for (int t = 0; t < tiles; ++t) {
      optimum += lemon.solve(&w[t * p.m * p.m]);
      value += reference_published(&w[t * p.m * p.m], p, options_for(constraint::exactly)).rounding.value;
    }
    EXPECT_NEAR((optimum - value) / optimum, gap, 0.0003) << p.n << ":" << p.m << " seed " << seed;
  }
}
#else
TEST(Lemon, AgreesWithGoldenOptima) { GTEST_SKIP() << "LEMON is not installed"; }
TEST(Lemon, SolvesRectanglesAsTilesPaddedWithZeros) { GTEST_SKIP() << "LEMON is not installed"; }
TEST(Reference, LeavesTheKnownGap) { GTEST_SKIP() << "LEMON is not installed"; }
#endif

TEST(Reference, GivesAPlanWithTheRightSums) {
  const pattern p{4, 8};
  const std::vector<double> w = importances_of(make_weights<double>(distribution::gaussian, p.m, p.m, seed));
  tsenor::options opts = options_for(constraint::at_most);
  opts.iterations = 20000;

  const std::vector<double> plan = reference_plan(w.data(), p, opts);

  for (int line = 0; line < p.m; ++line) {
    double row = 0, col = 0;
    for (int k = 0; k < p.m; ++k) {
      row += plan[line * p.m + k];
      col += plan[k * p.m + line];
      EXPECT_LE(plan[line * p.m + k], 1.0);
    }
    EXPECT_NEAR(row, p.n, 1e-3);
    EXPECT_NEAR(col, p.n, 1e-3);
  }
}

// The optimum of the entropic problem is min(1, exp((w + u + v) / tau)): where no entry of a 2 x 2 minor is capped, the
// potentials cancel in its cross ratio.
TEST(Reference, GivesAPlanInPotentialForm) {
  const pattern p{2, 4};
  const std::vector<double> w = importances_of(make_weights<double>(distribution::uniform, p.m, p.m, seed));
  tsenor::options opts = options_for(constraint::at_most);
  opts.tau = 0.5;
  opts.iterations = 20000;
  const double tau = opts.tau * *std::max_element(w.begin(), w.end());

  const std::vector<double> plan = reference_plan(w.data(), p, opts);

  int minors = 0;
  for (int i = 1; i < 4; ++i) {
    for (int j = 1; j < 4; ++j) {
      if (std::max({plan[0], plan[j], plan[4 * i], plan[4 * i + j]}) > 1 - 1e-9) continue;
      const double ratio = std::log(plan[0] * plan[4 * i + j] / (plan[j] * plan[4 * i]));
      EXPECT_NEAR(ratio, (w[0] + w[4 * i + j] - w[j] - w[4 * i]) / tau, 1e-6);
      ++minors;
    }
  }
  EXPECT_GT(minors, 0);
}

TEST(Reference, GivesTheUniformPlanWhenAllIsZero) {
  const std::vector<double> zeros(36, 0.0);
  const reference_tile tile = reference_published(zeros.data(), {2, 6}, options_for(constraint::exactly));
  for (double s : tile.plan) EXPECT_DOUBLE_EQ(s, 2.0 / 6);
  EXPECT_FEASIBLE(tsenor::matrix_view<const std::uint8_t>(tile.rounding.mask.data(), 6, 6), (pattern{2, 6}),
                  constraint::exactly);
}

TEST(Reference, IsFeasibleAndNoBetterThanTheOptimum) {
  for (distribution d : all_distributions) {
    for (int n = 1; n <= 4; ++n) {
      const pattern p{n, 4};
      const std::vector<double> w = importances_of(make_weights<double>(d, 50 * p.m, p.m, seed));
      for (constraint c : {constraint::exactly, constraint::at_most}) {
        const brute_force all(p, c);
        for (int t = 0; t < 50; ++t) {
          const reference_rounding r = reference_published(&w[t * 16], p, options_for(c)).rounding;
          EXPECT_FEASIBLE(tsenor::matrix_view<const std::uint8_t>(r.mask.data(), 4, 4), p, c) << name_of(d) << " " << t;
          EXPECT_LE(r.value, all.optimum(&w[t * 16]) * (1 + 1e-12)) << name_of(d) << " " << t;
        }
      }
    }
  }
}

// Greedy takes 5, then the corner 1: row 0 and column 0 are left short by nothing but (0, 0), which is kept.
TEST(Reference, SwapsWhenASwapGains) {
  const double w[9] = {5, 4, 0, 4, 0, 0, 0, 0, 1};
  const double plan[9] = {1, 0, 0, 0, 0.9, 0, 0, 0, 0.8};
  const reference_rounding none = reference_round(w, plan, {1, 3}, options_for(constraint::at_most));
  EXPECT_EQ(none.moves, 0);  // greedy is complete
  EXPECT_DOUBLE_EQ(none.value, 6);

  // 2:3: greedy keeps (0,0), (1,1), (1,2), (2,1), (2,2) and then lacks one in row 0 and one in column 0.
  const double order[9] = {0.9, 0, 0, 0, 1, 1, 0, 1, 1};
  const reference_rounding swapped = reference_round(w, order, {2, 3}, options_for(constraint::at_most));
  EXPECT_EQ(swapped.moves, 1);  // gives up (1, 1) for (0, 1) and (1, 0): a gain of 4 + 4 - 0
  EXPECT_DOUBLE_EQ(swapped.value, 5 + 1 + 4 + 4);
}

}  // namespace
}  // namespace tsenor_test
