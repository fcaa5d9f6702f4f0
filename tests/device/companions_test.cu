// check_mask, apply_mask and summarize on the GPU against the same on the CPU.
#include <cuda_fp16.h>

#include <random>

#include "support/device_buffer.cuh"
#include "support/distributions.hpp"
#include "tsenor/apply_mask.cuh"
#include "tsenor/check_mask.cuh"
#include "tsenor/summarize.cuh"
#include "tsenor/weight_types.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::cpu_executor;
using tsenor::edge;
using tsenor::mask_violations;
using tsenor::matrix_view;
using tsenor::pattern;
using tsenor::report_summary;
using tsenor::status_code;
using tsenor::tile_report;

using mask_view = matrix_view<const std::uint8_t>;

/// Bytes of which about n of m are not 0.
std::vector<std::uint8_t> random_mask(std::size_t size, pattern p, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> mask(size);
  for (auto& byte : mask)
    byte = random() % static_cast<unsigned>(p.m) < static_cast<unsigned>(p.n) ? 1 + random() % 255 : 0;
  return mask;
}

class CheckMaskOnGpu : public device_test, public testing::WithParamInterface<pattern> {};

INSTANTIATE_TEST_SUITE_P(Patterns, CheckMaskOnGpu,
                         testing::Values(pattern{1, 2}, pattern{2, 4}, pattern{3, 7}, pattern{4, 8}, pattern{8, 16},
                                         pattern{16, 32}, pattern{20, 33}, pattern{32, 64}, pattern{63, 64}));

TEST_P(CheckMaskOnGpu, CountsWhatTheCpuCounts) {
  const pattern p = GetParam();
  const std::int64_t rows = 3 * p.m + 1, cols = 300 + p.m, stride = cols + 3, batch = 3,
                     batch_stride = rows * stride + 1;
  const auto mask = random_mask(static_cast<std::size_t>(batch * batch_stride), p, 3);
  const device_buffer<std::uint8_t> on_device(mask);
  const device_buffer<mask_violations> result(1);
  for (const constraint kept : {constraint::exactly, constraint::at_most}) {
    mask_violations expected{};
    ASSERT_TRUE(tsenor::check_mask(cpu_executor{}, p, {mask.data(), rows, cols, stride, batch, batch_stride}, &expected,
                                   kept, edge::partial));
    ASSERT_TRUE(tsenor::check_mask(p, {on_device.data(), rows, cols, stride, batch, batch_stride}, result.data(), kept,
                                   edge::partial));
    const auto found = result.read().front();
    EXPECT_GT(expected.rows, 0);
    EXPECT_EQ(found.rows, expected.rows);
    EXPECT_EQ(found.cols, expected.cols);
  }
}

class CompanionsOnGpu : public device_test {};

TEST_F(CompanionsOnGpu, CheckMaskCountsMoreStripsThanBlocks) {
  const std::int64_t rows = reduced() ? 64 : 2 * 70000, cols = 4;
  const auto mask = random_mask(static_cast<std::size_t>(rows * cols), {1, 2}, 5);
  const device_buffer<std::uint8_t> on_device(mask);
  const device_buffer<mask_violations> result(1);
  mask_violations expected{};
  ASSERT_TRUE((tsenor::check_mask<1, 2>(cpu_executor{}, {mask.data(), rows, cols}, &expected)));
  ASSERT_TRUE((tsenor::check_mask<1, 2>({on_device.data(), rows, cols}, result.data())));
  EXPECT_EQ(result.read().front().rows, expected.rows);
  EXPECT_EQ(result.read().front().cols, expected.cols);
}

TEST_F(CompanionsOnGpu, CheckMaskRefusesAndLeavesTheResultAlone) {
  const device_buffer<std::uint8_t> mask(64);
  const device_buffer<mask_violations> result(1);
  EXPECT_EQ((tsenor::check_mask<4, 8>({mask.data(), 8, 8, 7}, result.data())).code(), status_code::invalid_shape);
  EXPECT_EQ((tsenor::check_mask<2, 3>({mask.data(), 8, 8}, result.data())).code(), status_code::not_divisible);
  EXPECT_EQ((tsenor::check_mask<4, 8>({nullptr, 8, 8}, result.data())).code(), status_code::invalid_pointer);
  EXPECT_EQ((tsenor::check_mask<4, 8>({mask.data(), 8, 8}, nullptr)).code(), status_code::invalid_pointer);
  EXPECT_TRUE(result.untouched());
}

TEST_F(CompanionsOnGpu, CheckMaskOfNothingIsZero) {
  const device_buffer<mask_violations> result(1);
  ASSERT_TRUE((tsenor::check_mask<4, 8>({nullptr, 0, 8}, result.data())));
  EXPECT_EQ(result.read().front().rows, 0);
  EXPECT_EQ(result.read().front().cols, 0);
}

template <class T>
class ApplyMaskOnGpu : public device_test {};
using weight_types = testing::Types<float, double, __half, tsenor::float8_e4m3>;
TYPED_TEST_SUITE(ApplyMaskOnGpu, weight_types);

TYPED_TEST(ApplyMaskOnGpu, WritesWhatTheCpuWritesAndNoPadding) {
  using T = TypeParam;
  const std::int64_t rows = 21, cols = 333, stride = 340, batch = 3, batch_stride = rows * stride + 8;
  const auto size = static_cast<std::size_t>(batch * batch_stride);
  const auto kept = random_mask(size, {1, 2}, 7);
  const auto bytes = random_mask(size * sizeof(T), {255, 256}, 9);
  std::vector<T> weights(size), expected(size);
  std::memcpy(static_cast<void*>(weights.data()), bytes.data(), bytes.size());
  std::memset(static_cast<void*>(expected.data()), poison, bytes.size());
  const auto view = [&](auto* data) {
    return matrix_view<std::remove_pointer_t<decltype(data)>>{data, rows, cols, stride, batch, batch_stride};
  };
  ASSERT_TRUE(tsenor::apply_mask(cpu_executor{}, view(std::as_const(weights).data()), view(kept.data()),
                                 view(expected.data())));

  const device_buffer<T> device_weights(weights), pruned(size);
  const device_buffer<std::uint8_t> device_mask(kept);
  const mask_view mask{device_mask.data(), rows, cols, stride, batch, batch_stride};
  ASSERT_TRUE(tsenor::apply_mask(view(device_weights.data()), mask, view(pruned.data())));
  EXPECT_EQ(std::memcmp(pruned.read().data(), expected.data(), bytes.size()), 0);

  ASSERT_TRUE(tsenor::apply_mask(view(device_weights.data()), mask, view(device_weights.data())));
  ASSERT_TRUE(tsenor::apply_mask(cpu_executor{}, view(weights.data()), view(kept.data()), view(weights.data())));
  EXPECT_EQ(std::memcmp(device_weights.read().data(), weights.data(), bytes.size()), 0);
}

TEST_F(CompanionsOnGpu, ApplyMaskRefusesAndLeavesTheOutputAlone) {
  const device_buffer<float> weights(64), pruned(64);
  const device_buffer<std::uint8_t> mask(64);
  const matrix_view<const float> in{weights.data(), 8, 8};
  EXPECT_EQ(tsenor::apply_mask(in, {mask.data(), 8, 4}, {pruned.data(), 8, 8}).code(), status_code::invalid_shape);
  EXPECT_EQ(tsenor::apply_mask(in, {nullptr, 8, 8}, {pruned.data(), 8, 8}).code(), status_code::invalid_pointer);
  EXPECT_EQ(tsenor::apply_mask(in, {mask.data(), 8, 8}, {weights.data() + 1, 8, 8}).code(),
            status_code::overlapping_buffers);
  EXPECT_TRUE(pruned.untouched());
  EXPECT_TRUE(weights.untouched());
}

TEST_F(CompanionsOnGpu, SummarizeGivesTheCpusSums) {
  for (const std::int64_t count : {0, 1, 511, 512, 513, 20000}) {
    SCOPED_TRACE(testing::Message() << count << " tiles");
    std::mt19937 random(static_cast<unsigned>(count));
    std::vector<tile_report> reports(static_cast<std::size_t>(count));
    for (auto& r : reports) {
      r = {1e-3 * (random() % 9000), 10.0 + 1e-3 * (random() % 50), 300, int(random() % 9), int(random() % 4), 0u};
    }
    report_summary expected{};
    ASSERT_TRUE(tsenor::summarize(cpu_executor{}, reports.data(), count, &expected));
    const device_buffer<tile_report> on_device(reports);
    const device_buffer<report_summary> first(1), second(1);
    ASSERT_TRUE(tsenor::summarize(on_device.data(), count, first.data()));
    ASSERT_TRUE(tsenor::summarize(on_device.data(), count, second.data()));
    const auto sum = first.read().front(), again = second.read().front();
    EXPECT_EQ(std::memcmp(&sum, &again, sizeof sum), 0);
    EXPECT_NEAR(sum.value, expected.value, 1e-12 * expected.value);
    EXPECT_NEAR(sum.bound, expected.bound, 1e-12 * expected.bound);
    EXPECT_EQ(sum.worst_gap, expected.worst_gap);
    EXPECT_EQ(sum.worst_tile, expected.worst_tile);
    EXPECT_EQ(sum.tiles, expected.tiles);
    EXPECT_EQ(sum.moves, expected.moves);
    EXPECT_EQ(sum.replaced, expected.replaced);
  }
}

TEST_F(CompanionsOnGpu, SummarizeRefusesAndLeavesTheResultAlone) {
  const device_buffer<tile_report> reports(4);
  const device_buffer<report_summary> result(1);
  EXPECT_EQ(tsenor::summarize(reports.data(), -1, result.data()).code(), status_code::invalid_shape);
  EXPECT_EQ(tsenor::summarize(nullptr, 4, result.data()).code(), status_code::invalid_pointer);
  EXPECT_TRUE(result.untouched());
}

TEST_F(CompanionsOnGpu, ReportAndKeepAPendingError) {
  const device_buffer<std::uint8_t> mask(64);
  const device_buffer<float> weights(64);
  const device_buffer<mask_violations> violations(1);
  const device_buffer<tile_report> reports(4);
  const device_buffer<report_summary> sum(1);
  const matrix_view<float> view{weights.data(), 8, 8};
  ASSERT_EQ(cudaSetDevice(1 << 20), cudaErrorInvalidDevice);
  for (const auto& s :
       {tsenor::check_mask<4, 8>({mask.data(), 8, 8}, violations.data()),
        tsenor::apply_mask(view, {mask.data(), 8, 8}, view), tsenor::summarize(reports.data(), 4, sum.data())}) {
    EXPECT_EQ(s.code(), status_code::device_error);
    EXPECT_EQ(s.observed(), cudaErrorInvalidDevice);
  }
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice) << "the caller's error was swallowed";
  EXPECT_TRUE(violations.untouched());
  EXPECT_TRUE(weights.untouched());
  EXPECT_TRUE(sum.untouched());
}

TEST_F(CompanionsOnGpu, CanBeCapturedTogether) {
  const auto kept = random_mask(64 * 64, {4, 8}, 11);
  const device_buffer<std::uint8_t> mask(kept);
  const device_buffer<float> weights(make_weights(distribution::gaussian, 64, 64, 13));
  const device_buffer<mask_violations> violations(1);
  const device_buffer<tile_report> reports(std::vector<tile_report>(4, tile_report{1.0, 2.0, 0, 0, 0, 0u}));
  const device_buffer<report_summary> sum(1);
  const device_stream stream;
  const matrix_view<float> view{weights.data(), 64, 64};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;

  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
  EXPECT_TRUE(
      (tsenor::check_mask<4, 8>({mask.data(), 64, 64}, violations.data(), constraint::at_most, edge::reject, stream)));
  EXPECT_TRUE(tsenor::apply_mask(view, {mask.data(), 64, 64}, view, stream));
  EXPECT_TRUE(tsenor::summarize(reports.data(), 4, sum.data(), stream));
  require(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  require(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  EXPECT_TRUE(sum.untouched()) << "a captured call ran";
  for (int replay = 0; replay < 3; ++replay) require(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
  require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");

  mask_violations expected{};
  ASSERT_TRUE((tsenor::check_mask<4, 8>(cpu_executor{}, {kept.data(), 64, 64}, &expected)));
  EXPECT_EQ(violations.read().front().rows, expected.rows);
  EXPECT_EQ(sum.read().front().value, 4.0);
  const auto pruned = weights.read();
  for (std::size_t k = 0; k < kept.size(); ++k) EXPECT_TRUE(kept[k] != 0 || pruned[k] == 0.f);
  require(cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
  require(cudaGraphDestroy(graph), "cudaGraphDestroy");
}

}  // namespace
}  // namespace tsenor_test
