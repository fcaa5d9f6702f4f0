// The optimal method on the GPU: the CPU's masks bit for bit, and certified in every tile.
#include <algorithm>
#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "support/exact.hpp"

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

// Alignment, strides, batches and outputs choose kernels, not masks.
TEST_P(Optimal, MasksDependOnTheTilesAlone) {
  for (const pattern nm : {pattern{1, 4}, {2, 4}, {3, 4}, {4, 4}, {4, 8}, {8, 16}, {16, 32}}) {
    const layout dense{nm, 8 * nm.m, 12 * nm.m};
    const auto weights = make_weights(GetParam(), dense.rows, dense.cols, 47);
    for (const constraint kept : {constraint::exactly, constraint::at_most}) {
      SCOPED_TRACE(testing::Message() << nm.n << ":" << nm.m
                                      << (kept == constraint::exactly ? " exactly" : " at most"));
      const auto opts = optimal_options(kept);
      const auto expected = solve_on_gpu(dense, weights, opts).mask;
      device_buffer<float> all(2 * weights.size()), prices(2 * weights.size());
      device_buffer<std::uint8_t> mask(2 * weights.size());
      for (const int offset : {0, 1})
        for (const int padding : {0, 1, 4})
          for (const bool priced : {false, true}) {
            std::vector<float> padded(all.size());
            const std::int64_t stride = dense.cols + padding;
            for (std::int64_t k = 0; k < std::int64_t(weights.size()); ++k)
              padded[offset + k / dense.cols * stride + k % dense.cols] = weights[k];
            all.write(padded);
            tsenor::mask_outputs<float> out;
            out.mask = mask.data() + offset;
            if (priced) out.prices = prices.data();
            const tsenor::matrix_view<const float> view(all.data() + offset, dense.rows, dense.cols, stride);
            ASSERT_TRUE(find_mask_float(nm, view, out, opts).ok());
            const auto found = mask.read();
            EXPECT_TRUE(std::equal(expected.begin(), expected.end(), found.begin() + offset))
                << "offset " << offset << ", padding " << padding << (priced ? ", priced" : "");
          }
    }
  }
}

// In exact arithmetic, against all masks.
TEST_P(Optimal, ReportsOf4x4TilesAreTrue) {
  for (const int n : {1, 2, 3, 4}) {
    const layout l{{n, 4}, 64, 64};
    const auto weights = make_weights(GetParam(), l.rows, l.cols, 61);
    const auto importance = importances_of(weights);
    for (const constraint kept : {constraint::exactly, constraint::at_most}) {
      const auto s = solve_on_gpu(l, weights, optimal_options(kept));
      for (std::size_t t = 0; t < s.reports.size(); ++t) {
        SCOPED_TRACE(testing::Message() << n << ":4 tile " << t);
        std::vector<double> w;
        std::vector<std::uint8_t> mask;
        for (int k = 0; k < 16; ++k) {
          const std::size_t at = (t / 16 * 4 + k / 4) * 64 + t % 16 * 4 + k % 4;
          w.push_back(importance[at]);
          mask.push_back(s.mask[at]);
        }
        expect_true({l.nm, kept, 4, 4, w.data()}, mask.data(), s.reports[t], 0x1p-20);
      }
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
