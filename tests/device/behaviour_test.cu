// What a user of the GPU can rely on, whatever the weights.
#include <cmath>
#include <limits>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;

class Behaviour : public device_test {};

constexpr float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

TEST_F(Behaviour, ReplacesAndCountsNonFiniteWeights) {
  const layout l{{8, 16}, 16, 32};
  auto weights = make_weights(distribution::gaussian, l.rows, l.cols, 53);
  weights[0] = not_a_number;
  weights[5] = -not_a_number;
  weights[2 * 32 + 3] = infinity;
  weights[7 * 32 + 9] = -infinity;
  const auto gpu = solve_on_gpu(l, weights, {});
  const auto cpu = solve_on_cpu(l, weights, {}, poison);
  EXPECT_EQ(gpu.reports[0].replaced, 4);
  EXPECT_EQ(gpu.reports[1].replaced, 0);
  EXPECT_TRUE(gpu.reports[0].flags & tsenor::report_replaced_inputs);
  EXPECT_FALSE(gpu.reports[1].flags & tsenor::report_replaced_inputs);
  EXPECT_EQ(gpu.mask[2 * 32 + 3], 1) << "an infinite weight is the largest of all";
  EXPECT_EQ(gpu.mask[7 * 32 + 9], 1);
  EXPECT_TRUE(std::isfinite(gpu.reports[0].value));
  EXPECT_TRUE(std::isfinite(gpu.reports[0].bound));
  EXPECT_NEAR(gpu.reports[0].value, cpu.reports[0].value, 1e-2 * cpu.reports[0].value);
}

TEST_F(Behaviour, GivesAFeasibleMaskForHostileWeights) {
  for (const distribution d : all_distributions) {
    for (const tsenor::pattern nm : {tsenor::pattern{2, 4}, {4, 8}, {8, 16}, {16, 32}, {8, 32}, {32, 64}}) {
      SCOPED_TRACE(testing::Message() << name_of(d) << " " << nm.n << ":" << nm.m);
      const layout l{nm, 2 * nm.m, 2 * nm.m};
      auto opts = tsenor::options::published();
      opts.constraint = constraint::exactly;
      const auto s = solve_on_gpu(l, make_weights(d, l.rows, l.cols, 59), opts);
      for (const auto& r : s.reports) EXPECT_GE(r.bound, r.value * (1 - 1e-6));
    }
  }
}

TEST_F(Behaviour, GivesAFeasibleMaskForZerosAndForNothingButNaN) {
  for (const float everywhere : {0.f, -0.f, not_a_number, infinity, 1e-45f}) {
    SCOPED_TRACE(testing::Message() << "weights " << everywhere);
    const layout l{{16, 32}, 32, 32};
    auto opts = tsenor::options::published();
    opts.constraint = constraint::exactly;
    const auto s = solve_on_gpu(l, std::vector<float>(l.elements(), everywhere), opts);
    EXPECT_TRUE(std::isfinite(s.value()));
    EXPECT_TRUE(std::isfinite(s.bound()));
  }
}

TEST_F(Behaviour, DoesNotDependOnAPowerOfTwo) {
  const layout l{{8, 16}, 64, 64};
  const auto weights = make_weights(distribution::gaussian, l.rows, l.cols, 61);
  const auto expected = solve_on_gpu(l, weights, {});
  for (const int exponent : {-80, 90}) {
    auto scaled = weights;
    for (float& w : scaled) w = std::ldexp(w, exponent);
    const auto s = solve_on_gpu(l, scaled, {});
    EXPECT_EQ(s.mask, expected.mask) << "scaled by 2^" << exponent;
    EXPECT_EQ(s.value(), std::ldexp(expected.value(), exponent));
  }
}

TEST_F(Behaviour, KeepsEverythingWhenNIsM) {
  const layout l{{8, 8}, 16, 16};
  const auto weights = make_weights(distribution::gaussian, l.rows, l.cols, 67);
  const auto s = solve_on_gpu(l, weights, {});
  EXPECT_EQ(s.mask, std::vector<std::uint8_t>(l.elements(), 1));
}

TEST_F(Behaviour, GivesTheSameBitsOnEveryRun) {
  for (const tsenor::pattern nm : {tsenor::pattern{4, 8}, {16, 32}, {32, 64}}) {
    const layout l{nm, reduced() ? 64 : 512, reduced() ? 64 : 512};
    const auto weights = make_weights(distribution::ties, l.rows, l.cols, 71);
    const auto first = solve_on_gpu(l, weights, {}), second = solve_on_gpu(l, weights, {});
    EXPECT_EQ(first.mask, second.mask);
    EXPECT_EQ(first.packed, second.packed);
    EXPECT_EQ(std::memcmp(first.reports.data(), second.reports.data(), l.tiles() * sizeof(tsenor::tile_report)), 0);
  }
}

TEST_F(Behaviour, DoesNotDependOnTheTilesBesides) {
  const layout alone{{4, 8}, 8, 8}, among{{4, 8}, 8, 80};
  const auto many = make_weights(distribution::gaussian, among.rows, among.cols, 73);
  const auto expected = solve_on_gpu(among, many, {});
  for (std::int64_t tile = 0; tile < among.tile_cols(); ++tile) {
    std::vector<float> one;
    std::vector<std::uint8_t> mask;
    for (std::int64_t i = 0; i < 8; ++i) {
      one.insert(one.end(), &many[i * 80 + tile * 8], &many[i * 80 + tile * 8] + 8);
      mask.insert(mask.end(), &expected.mask[i * 80 + tile * 8], &expected.mask[i * 80 + tile * 8] + 8);
    }
    EXPECT_EQ(solve_on_gpu(alone, one, {}).mask, mask) << "tile " << tile;
  }
}

TEST_F(Behaviour, MoreIterationsAreReported) {
  const layout l{{8, 16}, 16, 16};
  const auto weights = make_weights(distribution::gaussian, l.rows, l.cols, 79);
  auto opts = tsenor::options::published();
  EXPECT_EQ(solve_on_gpu(l, weights, opts).reports[0].iterations, 300);
  opts.iterations = 17;
  EXPECT_EQ(solve_on_gpu(l, weights, opts).reports[0].iterations, 17);
}

}  // namespace
}  // namespace tsenor_test
