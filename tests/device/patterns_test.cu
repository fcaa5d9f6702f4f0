// Every supported pattern gives a feasible mask on the GPU, as judged on the host and by the GPU's own check_mask.
#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "tsenor/check_mask.cuh"

namespace tsenor_test {
namespace {

using tsenor::constraint;

/// One M: all N, both constraints. The parameter is M.
class Patterns : public device_test, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(EveryM, Patterns, testing::Range(tsenor::min_tile, tsenor::max_tile + 1));

TEST_P(Patterns, AreFeasibleForEveryN) {
  const int m = GetParam(), step = reduced() ? std::max(1, m / 3) : 1;
  const std::uint64_t seed = static_cast<std::uint64_t>(m);
  SCOPED_TRACE(testing::Message() << "M " << m << ", seed " << seed);
  layout l{{1, m}, 2 * m, 3 * m};
  const auto weights = make_weights(distribution::gaussian, l.rows, l.cols, seed);
  const device_call<float> call(l, weights);
  const device_buffer<tsenor::mask_violations> violations(1);
  for (int n = 1; n <= m; n += step) {
    l.nm.n = n;
    for (const constraint kept : {constraint::exactly, constraint::at_most}) {
      SCOPED_TRACE(testing::Message() << "N " << n << (kept == constraint::exactly ? " exactly" : " at most"));
      auto opts = tsenor::options::published();
      opts.constraint = kept;
      ASSERT_TRUE(find_mask_float(l.nm, call.input(), call.outputs(), opts));
      ASSERT_TRUE(tsenor::check_mask(l.nm, l.view(static_cast<const std::uint8_t*>(call.mask.data())),
                                     violations.data(), kept));
      const auto found = violations.read().front();
      EXPECT_EQ(found.rows, 0);
      EXPECT_EQ(found.cols, 0);
      const auto s = call.result();
      expect_consistent(l, weights, s, kept, poison);
      for (const auto& r : s.reports) {
        EXPECT_GT(r.value, 0);
        EXPECT_GE(r.bound, r.value * (1 - 1e-6));
      }
      if (HasFailure()) return;
    }
  }
}

TEST_P(Patterns, AreFeasibleWithPartialTiles) {
  const int m = GetParam();
  const layout l{{(m + 1) / 2, m}, 2 * m - 1, 2 * m + 1};
  const auto weights = make_weights(distribution::gaussian, l.rows, l.cols, 1000u + static_cast<unsigned>(m));
  auto opts = tsenor::options::published();
  opts.edge = tsenor::edge::partial;
  opts.constraint = constraint::exactly;
  solve_on_gpu(l, weights, opts);
}

}  // namespace
}  // namespace tsenor_test
