// Strides, batches, edges and optional outputs on the GPU. Guard bands and padding are checked in every case.
#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::edge;
using tsenor::pattern;

std::vector<float> weights_for(const layout& l, std::uint64_t seed) {
  return make_weights(distribution::gaussian, 1, static_cast<std::int64_t>(l.elements()), seed);
}

class Layouts : public device_test, public testing::WithParamInterface<layout> {};

INSTANTIATE_TEST_SUITE_P(Dense, Layouts,
                         testing::Values(layout{{2, 4}, 4, 4}, layout{{4, 8}, 8, 24}, layout{{8, 16}, 48, 16},
                                         layout{{16, 32}, 32, 96}, layout{{32, 64}, 64, 128}, layout{{3, 7}, 21, 35}));
INSTANTIATE_TEST_SUITE_P(Strided, Layouts,
                         testing::Values(layout{{4, 8}, 16, 16, 1}, layout{{8, 16}, 32, 48, 3, 2, 5},
                                         layout{{16, 32}, 32, 64, 4, 3, 0}, layout{{20, 40}, 80, 40, 7, 2, 11},
                                         layout{{2, 4}, 8, 12, 0, 5, 1}, layout{{32, 64}, 64, 64, 1, 2, 1}));
INSTANTIATE_TEST_SUITE_P(Edges, Layouts,
                         testing::Values(layout{{4, 8}, 13, 21}, layout{{8, 16}, 5, 7}, layout{{16, 32}, 33, 31, 2},
                                         layout{{3, 6}, 20, 25, 1, 3, 2}, layout{{32, 64}, 65, 100, 3, 2, 1},
                                         layout{{1, 2}, 1, 1}, layout{{64, 64}, 70, 1}, layout{{4, 8}, 1, 40}));

TEST_P(Layouts, AgreeWithTheCpuAndStayWithinTheirBuffers) {
  const layout l = GetParam();
  const auto weights = weights_for(l, 31);
  auto opts = tsenor::options::published();
  opts.edge = edge::partial;
  for (const constraint kept : {constraint::exactly, constraint::at_most}) {
    opts.constraint = kept;
    const auto cpu = solve_on_cpu(l, weights, opts, poison);
    const auto gpu = solve_on_gpu(l, weights, opts);
    // A tile may round otherwise than on the CPU, so the values of a few tiles agree less closely than the mean of
    // many.
    EXPECT_NEAR(gpu.value(), cpu.value(), 1e-2 * cpu.value());
    for (std::size_t t = 0; t < l.tiles(); ++t) {
      EXPECT_EQ(gpu.reports[t].flags, cpu.reports[t].flags) << "tile " << t;
      EXPECT_GE(gpu.reports[t].bound, gpu.reports[t].value * (1 - 1e-6)) << "tile " << t;
    }
  }
}

class Outputs : public device_test {};

TEST_F(Outputs, CanEachBeAskedForAlone) {
  const layout l{{8, 16}, 32, 48, 2};
  const auto weights = weights_for(l, 37);
  const device_call<float> all(l, weights);
  ASSERT_TRUE(find_mask_float(l.nm, all.input(), all.outputs(), {}));
  const auto expected = all.result();
  for (int wanted = 0; wanted < 4; ++wanted) {
    SCOPED_TRACE(testing::Message() << "output " << wanted);
    const device_call<float> one(l, weights);
    auto out = one.outputs();
    if (wanted != 0) out.mask.data = nullptr;
    if (wanted != 1) out.packed.data = nullptr;
    if (wanted != 2) out.pruned.data = nullptr;
    if (wanted != 3) out.reports = nullptr;
    ASSERT_TRUE(find_mask_float(l.nm, one.input(), out, {}));
    if (wanted == 0) EXPECT_EQ(one.mask.read(), expected.mask);
    if (wanted == 1) EXPECT_EQ(one.packed.read(), expected.packed);
    if (wanted == 2) {
      const auto pruned = one.pruned.read();
      EXPECT_EQ(std::memcmp(pruned.data(), expected.pruned.data(), pruned.size() * sizeof(float)), 0);
    }
    if (wanted == 3) {
      const auto reports = one.reports.read();
      EXPECT_EQ(std::memcmp(reports.data(), expected.reports.data(), reports.size() * sizeof(reports[0])), 0);
    }
    EXPECT_EQ(one.mask.untouched(), wanted != 0);
    EXPECT_EQ(one.packed.untouched(), wanted != 1);
    EXPECT_EQ(one.pruned.untouched(), wanted != 2);
    EXPECT_EQ(one.reports.untouched(), wanted != 3);
  }
}

TEST_F(Outputs, OfZeroStrideAreDense) {
  const layout dense{{4, 8}, 16, 24};
  const auto weights = weights_for(dense, 41);
  const auto expected = solve_on_gpu(dense, weights, {});
  const device_call<float> call(dense, weights);
  tsenor::mask_outputs<float> out;
  out.mask = call.mask.data();
  out.packed = call.packed.data();
  out.pruned = call.pruned.data();
  ASSERT_TRUE(find_mask_float(dense.nm, call.input(), out, {}));
  EXPECT_EQ(call.mask.read(), expected.mask);
  EXPECT_EQ(call.packed.read(), expected.packed);
  EXPECT_EQ(call.pruned.read(), expected.pruned);
}

TEST_F(Outputs, PrunedInPlaceIsThatOfAnotherBuffer) {
  const layout l{{8, 16}, 32, 48, 3, 2, 5};
  const auto weights = weights_for(l, 43);
  const auto expected = solve_on_gpu(l, weights, {});
  const device_call<float> call(l, weights);
  auto out = call.outputs();
  out.pruned.data = call.weights.data();
  ASSERT_TRUE(find_mask_float(l.nm, call.input(), out, {}));
  auto pruned = call.weights.read();
  for (std::int64_t b = 0; b < l.batch; ++b) {
    for (std::int64_t i = 0; i < l.rows; ++i) {
      for (std::int64_t j = 0; j < l.row_stride(); ++j) {
        const std::int64_t k = b * l.batch_stride() + i * l.row_stride() + j;
        const float right = j >= l.cols ? weights[k] : expected.pruned[k];
        EXPECT_EQ(std::memcmp(&pruned[k], &right, sizeof right), 0) << "matrix " << b << ", row " << i << ", col " << j;
      }
    }
  }
}

TEST_F(Outputs, OfWeightsThatAreOnlyNaturallyAlignedAreTheSame) {
  const layout l{{4, 8}, 16, 16};
  const auto weights = weights_for(l, 47);
  const auto expected = solve_on_gpu(l, weights, {});
  const device_buffer<float> shifted_weights(l.elements() + 1), shifted_pruned(l.elements() + 1);
  const device_buffer<std::uint8_t> shifted_mask(l.elements() + 1);
  require(cudaMemcpy(shifted_weights.data() + 1, weights.data(), weights.size() * sizeof(float), cudaMemcpyDefault),
          "cudaMemcpy");
  const tsenor::matrix_view<const float> input = l.view<const float>(shifted_weights.data() + 1);
  tsenor::mask_outputs<float> out;
  out.mask = shifted_mask.data() + 1;
  out.pruned = shifted_pruned.data() + 1;
  ASSERT_TRUE(find_mask_float(l.nm, input, out, {}));
  const auto mask = shifted_mask.read();
  const auto pruned = shifted_pruned.read();
  EXPECT_EQ(mask.front(), poison);
  EXPECT_TRUE(std::equal(expected.mask.begin(), expected.mask.end(), mask.begin() + 1));
  EXPECT_TRUE(std::equal(expected.pruned.begin(), expected.pruned.end(), pruned.begin() + 1));
}

}  // namespace
}  // namespace tsenor_test
