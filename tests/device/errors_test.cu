// Bad calls on the GPU: a status, and nothing written.
#include <memory>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_test {
namespace {

using tsenor::status;
using tsenor::status_code;

class Errors : public device_test {
 protected:
  void SetUp() override {
    device_test::SetUp();
    if (IsSkipped()) return;
    call_ = std::make_unique<device_call<float>>(where_, make_weights(distribution::gaussian, 32, 32, 103));
  }

  /// A call with one thing wrong must say so and leave every output as it was.
  void expect_refused(status_code expected, const status& s) {
    EXPECT_EQ(s.code(), expected) << s.message();
    EXPECT_GT(std::strlen(s.message()), 10u);
    EXPECT_TRUE(call_->outputs_untouched());
  }

  status solve(tsenor::pattern nm, tsenor::matrix_view<const float> in, const tsenor::mask_outputs<float>& out,
               const tsenor::options& opts = {}) {
    return find_mask_float(nm, in, out, opts);
  }

  const layout where_{{8, 16}, 32, 32};
  std::unique_ptr<device_call<float>> call_;
};

TEST_F(Errors, OfThePattern) {
  for (const tsenor::pattern nm : {tsenor::pattern{0, 8}, {9, 8}, {1, 1}, {1, 65}, {-1, 4}}) {
    expect_refused(status_code::invalid_pattern, solve(nm, call_->input(), call_->outputs()));
  }
}

TEST_F(Errors, OfTheShape) {
  auto in = call_->input();
  in.rows = -32;
  expect_refused(status_code::invalid_shape, solve({8, 16}, in, call_->outputs()));
  in = call_->input();
  in.row_stride = 31;
  expect_refused(status_code::invalid_shape, solve({8, 16}, in, call_->outputs()));
  in = call_->input();
  in.rows = std::int64_t{1} << 62;
  expect_refused(status_code::invalid_shape, solve({8, 16}, in, call_->outputs()));
  expect_refused(status_code::not_divisible, solve({8, 24}, call_->input(), call_->outputs()));
}

TEST_F(Errors, OfThePointers) {
  auto in = call_->input();
  in.data = nullptr;
  expect_refused(status_code::invalid_pointer, solve({8, 16}, in, call_->outputs()));
  in = call_->input();
  in.data = reinterpret_cast<const float*>(reinterpret_cast<const char*>(in.data) + 2);
  expect_refused(status_code::invalid_pointer, solve({8, 16}, in, call_->outputs()));
  auto out = call_->outputs();
  out.packed.data = call_->packed.data() + 1;
  expect_refused(status_code::invalid_pointer, solve({8, 16}, call_->input(), out));
}

TEST_F(Errors, OfOverlappingBuffers) {
  auto out = call_->outputs();
  out.packed.data = call_->mask.data() + 16;
  expect_refused(status_code::overlapping_buffers, solve({8, 16}, call_->input(), out));
  out = call_->outputs();
  out.pruned.data = call_->weights.data() + 1;
  expect_refused(status_code::overlapping_buffers, solve({8, 16}, call_->input(), out));
}

TEST_F(Errors, OfTheOptions) {
  auto opts = tsenor::options::published();
  opts.iterations = 0;
  expect_refused(status_code::invalid_option, solve({8, 16}, call_->input(), call_->outputs(), opts));
  opts = tsenor::options::published();
  opts.tau = 0;
  expect_refused(status_code::invalid_option, solve({8, 16}, call_->input(), call_->outputs(), opts));
}

TEST_F(Errors, PendingBeforeTheCallAreReportedAndStayPending) {
  ASSERT_EQ(cudaSetDevice(1 << 20), cudaErrorInvalidDevice);
  const status s = solve({8, 16}, call_->input(), call_->outputs());
  EXPECT_EQ(s.code(), status_code::device_error);
  EXPECT_EQ(s.observed(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice) << "the caller's error was swallowed";
  EXPECT_TRUE(call_->outputs_untouched());
}

TEST_F(Errors, OfOneCallDoNotSpoilTheNext) {
  expect_refused(status_code::invalid_pattern, solve({9, 8}, call_->input(), call_->outputs()));
  EXPECT_TRUE(solve({8, 16}, call_->input(), call_->outputs()));
  expect_consistent(where_, call_->weights.read(), call_->result(), tsenor::constraint::at_most, poison);
}

TEST_F(Errors, AreNoneForEmptyMatrices) {
  tsenor::mask_outputs<float> none;
  EXPECT_TRUE(solve({8, 16}, {nullptr, 0, 32}, none));
  EXPECT_TRUE(solve({8, 16}, {nullptr, 32, 0}, none));
  EXPECT_TRUE(solve({8, 16}, {nullptr, 32, 32, 32, 0, 0}, none));
}

TEST_F(Errors, AreNoneForTheSimplestCall) {
  EXPECT_TRUE((tsenor::find_mask<8, 16>(call_->weights.data(), 32, 32, call_->mask.data())));
  ASSERT_TRUE((solve({8, 16}, call_->input(), call_->outputs())));
  const auto mask = call_->mask.read();
  const device_buffer<std::uint8_t> simple(mask.size());
  EXPECT_TRUE((tsenor::find_mask<8, 16>(call_->weights.data(), 32, 32, simple.data(), {}, nullptr)));
  EXPECT_EQ(simple.read(), mask);
}

}  // namespace
}  // namespace tsenor_test
