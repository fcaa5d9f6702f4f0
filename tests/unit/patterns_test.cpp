// All 2,079 patterns through the run-time entry.
#include <gtest/gtest.h>

#include "distributions.hpp"
#include "solve.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

class Patterns : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(OfM, Patterns, testing::Range(tsenor::min_tile, tsenor::max_tile + 1),
                         testing::PrintToStringParamName());

// Two tiles beside and two below each other. Ten iterations leave a plan far from converged, so that rounding and
// completion have much to do.
TEST_P(Patterns, AreFeasibleForEveryN) {
  const int m = GetParam();
  for (distribution d : {distribution::gaussian, distribution::ties, distribution::constant}) {
    for (int n = 1; n <= m; ++n) {
      const std::vector<float> weights = make_weights(d, 2 * m, 2 * m, n);
      for (constraint c : both_constraints) {
        tsenor::options opts = published_options(c);
        opts.iterations = 10;

        const solution s = solve(pattern{n, m}, weights, 2 * m, 2 * m, opts);

        EXPECT_FEASIBLE(s.view(), (pattern{n, m}), c) << name_of(d) << " seed " << n;
        for (const tsenor::tile_report& r : s.reports)
          EXPECT_LE(r.value, r.bound * (1 + 1e-6)) << name_of(d) << " N " << n;
      }
    }
  }
}

TEST_P(Patterns, AreFeasibleWithThePaperParameters) {
  const int m = GetParam();
  for (int n = 1; n <= m; ++n) {
    const std::vector<float> weights = make_weights(distribution::student4, m, m, n);
    const constraint c = both_constraints[n % 2];
    EXPECT_FEASIBLE(solve(pattern{n, m}, weights, m, m, published_options(c)).view(), (pattern{n, m}), c)
        << "seed " << n;
  }
}

TEST_P(Patterns, KeepAllWhenNIsM) {
  const int m = GetParam();
  const std::vector<float> weights = make_weights(distribution::gaussian, m, m, m);
  const std::vector<double> importance = importances_of(weights);
  const std::vector<std::uint8_t> all(weights.size(), 1);
  const double total = kept_value(importance.data(), all.data(), all.size());

  const solution s = solve(pattern{m, m}, weights, m, m);

  EXPECT_EQ(s.mask, all);
  EXPECT_NEAR(s.reports[0].value, total, 1e-12 * total);
  EXPECT_NEAR(s.reports[0].bound, total, 1e-6 * total);
}

}  // namespace
}  // namespace tsenor_test
