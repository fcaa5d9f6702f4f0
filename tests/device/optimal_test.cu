// The optimal method on the GPU: the CPU's masks bit for bit, and certified in every tile.
#include <algorithm>
#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

tsenor::options optimal_options(constraint kept) {
  auto opts = tsenor::options::optimal();
  opts.constraint = kept;
  opts.edge = tsenor::edge::partial;
  return opts;
}

/// What rounding to integers may leave between bound and value.
void expect_certified(const std::vector<tsenor::tile_report>& reports, const std::vector<float>& weights, int m) {
  double largest = 0, value = 0, gap = 0;
  for (const float w : weights) largest = std::max(largest, std::abs(double(w)));
  for (const auto& r : reports) {
    EXPECT_LE(r.bound - r.value, std::max(1e-5 * r.value, m * m * std::ldexp(largest, -25)));
    value += r.value;
    gap += r.bound - r.value;
  }
  EXPECT_LE(gap, 1e-6 * value);
}

class Optimal : public device_test, public testing::WithParamInterface<distribution> {};

INSTANTIATE_TEST_SUITE_P(Of, Optimal, testing::ValuesIn(all_distributions));

TEST_P(Optimal, MasksAreThoseOfTheCpu) {
  for (const pattern nm : {pattern{1, 2},
                           {2, 4},
                           {3, 6},
                           {4, 8},
                           {7, 8},
                           {5, 10},
                           {8, 16},
                           {7, 24},
                           {16, 32},
                           {8, 32},
                           {31, 32},
                           {20, 40},
                           {32, 64}}) {
    const layout l{nm, (reduced() ? 2 : 8) * nm.m, 9 * nm.m + nm.m / 2};
    const auto weights = make_weights(GetParam(), l.rows, l.cols, 41);
    for (const constraint kept : {constraint::exactly, constraint::at_most}) {
      SCOPED_TRACE(testing::Message() << nm.n << ":" << nm.m
                                      << (kept == constraint::exactly ? " exactly" : " at most"));
      const auto gpu = solve_on_gpu(l, weights, optimal_options(kept));
      const auto cpu = solve_on_cpu(l, weights, optimal_options(kept), poison);
      EXPECT_EQ(gpu.mask, cpu.mask);
      EXPECT_EQ(gpu.packed, cpu.packed);
      EXPECT_NEAR(gpu.value(), cpu.value(), 1e-9 * cpu.value());
      expect_certified(gpu.reports, weights, nm.m);
    }
  }
}

class OptimalPatterns : public device_test, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(EveryM, OptimalPatterns, testing::Range(tsenor::min_tile, tsenor::max_tile + 1));

TEST_P(OptimalPatterns, AreFeasibleAndCertifiedForEveryN) {
  const int m = GetParam(), step = reduced() ? std::max(1, m / 3) : 1;
  for (int n = 1; n <= m; n += step) {
    const layout l{{n, m}, 2 * m, 3 * m};
    for (const distribution d : {distribution::gaussian, distribution::ties}) {
      const auto weights = make_weights(d, l.rows, l.cols, 100u + n);
      for (const constraint kept : {constraint::exactly, constraint::at_most}) {
        SCOPED_TRACE(testing::Message() << "N " << n << (kept == constraint::exactly ? " exactly" : " at most"));
        expect_certified(solve_on_gpu(l, weights, optimal_options(kept)).reports, weights, m);
      }
    }
    if (HasFailure()) return;
  }
}

// Many random tiles: more than two million over the patterns.
TEST_F(device_test, CertifiesEveryTileOfLargeMatrices) {
  const std::int64_t side = reduced() ? 256 : 4096;
  for (const distribution d : {distribution::gaussian, distribution::student4, distribution::mostlyzero}) {
    const auto weights = make_weights(d, side, side, 43);
    for (const pattern nm : {pattern{2, 4}, {4, 8}, {8, 16}, {16, 32}, {8, 32}, {32, 64}})
      for (const constraint kept : {constraint::exactly, constraint::at_most})
        expect_certified(solve_on_gpu({nm, side, side}, weights, optimal_options(kept)).reports, weights, nm.m);
  }
}

}  // namespace
}  // namespace tsenor_test
