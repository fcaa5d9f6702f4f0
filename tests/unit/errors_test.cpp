// Calls that must be refused: the right status code, and nothing written.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "distributions.hpp"
#include "refused.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

using tsenor::pattern;
using tsenor::status_code;

// A 4:8 call that succeeds until a test spoils one of its arguments. Every output lies in one block of memory with room
// around, so that a test can see any byte that is written.
class Errors : public testing::Test {
 protected:
  static constexpr std::int64_t rows = 16, cols = 24, batch = 2, weights = batch * rows * cols;
  static constexpr std::size_t room = 16384;  // bytes for each output

  Errors()
      : input(make_weights(distribution::gaussian, batch * rows, cols, 1)), memory(5 * room / sizeof(double), -1.5) {
    view = {input.data(), rows, cols, cols, batch, rows * cols};
    out.mask = block(0);
    out.packed = block(1);
    out.pruned = reinterpret_cast<float*>(block(2));
    out.reports = reinterpret_cast<tsenor::tile_report*>(block(3));
    out.prices = reinterpret_cast<float*>(block(4));
  }

  std::uint8_t* block(int k) { return reinterpret_cast<std::uint8_t*>(memory.data()) + k * room + room / 4; }

  tsenor::status call() { return find_any<float>(tsenor::cpu_executor{threads}, p, view, out, opts); }

  void expect_refused(status_code code) {
    const std::vector<double> memory_before = memory;
    const std::vector<float> input_before = input;

    const tsenor::status s = call();

    EXPECT_EQ(s.code(), code) << s.message();
    EXPECT_FALSE(s.ok());
    EXPECT_GT(std::strlen(s.message()), 10u);
    expect_numbers(s);
    EXPECT_EQ(std::memcmp(memory.data(), memory_before.data(), memory.size() * sizeof(double)), 0)
        << "an output was written";
    EXPECT_EQ(std::memcmp(input.data(), input_before.data(), input.size() * sizeof(float)), 0)
        << "the input was written";
  }

  std::vector<float> input;
  std::vector<double> memory;
  tsenor::matrix_view<const float> view;
  tsenor::mask_outputs<float> out;
  tsenor::options opts;
  pattern p{4, 8};
  int threads = 2;
};

TEST_F(Errors, AreAbsentFromTheUnspoiltCall) {
  const std::vector<double> before = memory;
  const tsenor::status s = call();
  EXPECT_TRUE(s.ok()) << s.message();
  EXPECT_EQ(s.code(), status_code::success);
  EXPECT_NE(std::memcmp(memory.data(), before.data(), memory.size() * sizeof(double)), 0);
}

TEST_F(Errors, RefusePatternsOutOfRange) {
  for (const pattern bad :
       {pattern{0, 8}, pattern{9, 8}, pattern{-1, 8}, pattern{1, 1}, pattern{1, 0}, pattern{4, 65}, pattern{1, -8},
        pattern{std::numeric_limits<int>::max(), std::numeric_limits<int>::max()}}) {
    p = bad;
    SCOPED_TRACE(std::to_string(p.n) + ":" + std::to_string(p.m));
    expect_refused(status_code::invalid_pattern);
  }
}

TEST_F(Errors, RefuseNegativeSizes) {
  const auto good = view;
  for (std::int64_t tsenor::matrix_view<const float>::*size :
       {&tsenor::matrix_view<const float>::rows, &tsenor::matrix_view<const float>::cols,
        &tsenor::matrix_view<const float>::batch}) {
    view = good;
    view.*size = -8;
    expect_refused(status_code::invalid_shape);
  }
}

TEST_F(Errors, RefuseStridesSmallerThanARowOrAMatrix) {
  view.row_stride = cols - 1;
  expect_refused(status_code::invalid_shape);
  view.row_stride = -cols;
  expect_refused(status_code::invalid_shape);
  view.row_stride = cols;
  view.batch_stride = rows * cols - 1;
  expect_refused(status_code::invalid_shape);
}

TEST_F(Errors, RefuseOutputStridesSmallerThanARowOrAMatrix) {
  const auto good = out;
  out.mask.row_stride = cols - 1;
  expect_refused(status_code::invalid_shape);
  out = good;
  out.pruned.row_stride = cols - 1;
  expect_refused(status_code::invalid_shape);
  out = good;
  out.packed.row_stride = cols / 8 - 1;
  expect_refused(status_code::invalid_shape);
  out = good;
  out.mask.batch_stride = rows * cols - 1;
  expect_refused(status_code::invalid_shape);
}

TEST_F(Errors, RefuseSizesThatOverflow) {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max() / 8 * 8;
  view = {input.data(), huge, 8};
  expect_refused(status_code::invalid_shape);
  view = {input.data(), 8, huge};
  expect_refused(status_code::invalid_shape);
  view = {input.data(), 8, 8, 8, huge, 64};
  expect_refused(status_code::invalid_shape);
  view = {input.data(), std::int64_t(1) << 40, std::int64_t(1) << 40};
  expect_refused(status_code::invalid_shape);
}

TEST_F(Errors, RefuseANegativeStrideOfABatch) {
  view = {input.data(), rows, cols, cols, 1, -1};
  expect_refused(status_code::invalid_shape);
  EXPECT_NE(std::strstr(call().message(), "batch_stride must not be negative"), nullptr) << call().message();
  view.batch_stride = 0;
  out.mask.batch_stride = -8;
  expect_refused(status_code::invalid_shape);
  EXPECT_EQ(call().observed(), -8);
}

TEST_F(Errors, RefuseSizesThatAreNoMultipleOfM) {
  view.rows = rows - 1;
  expect_refused(status_code::not_divisible);
  view.rows = rows;
  view.cols = cols - 1;
  expect_refused(status_code::not_divisible);
}

TEST_F(Errors, RefuseNullWeights) {
  view.data = nullptr;
  expect_refused(status_code::invalid_pointer);
}

TEST_F(Errors, RefuseMisalignedPointers) {
  const auto good = out;
  view.data = reinterpret_cast<const float*>(reinterpret_cast<const char*>(input.data()) + 2);
  view.rows = 8;
  expect_refused(status_code::invalid_pointer);
  view.data = input.data();
  out.pruned.data = reinterpret_cast<float*>(block(2) + 1);
  expect_refused(status_code::invalid_pointer);
  out = good;
  out.reports = reinterpret_cast<tsenor::tile_report*>(block(3) + 4);
  expect_refused(status_code::invalid_pointer);
  out = good;
  out.prices = reinterpret_cast<float*>(block(4) + 2);
  expect_refused(status_code::invalid_pointer);
  out = good;
  p = {4, 12};  // packed in words of two bytes
  view = {input.data(), 12, 24};
  out.packed.data = block(1) + 1;
  expect_refused(status_code::invalid_pointer);
}

TEST_F(Errors, RefuseOutputsThatOverlap) {
  const auto good = out;
  out.packed = block(0) + weights - 1;  // the mask's last byte
  expect_refused(status_code::overlapping_buffers);
  out = good;
  out.pruned = reinterpret_cast<float*>(block(0));
  expect_refused(status_code::overlapping_buffers);
  out = good;
  out.reports = reinterpret_cast<tsenor::tile_report*>(block(2) + weights * sizeof(float) - 8);
  expect_refused(status_code::overlapping_buffers);
  out = good;
  out.prices = reinterpret_cast<float*>(block(3) + weights / 64 * sizeof(tsenor::tile_report) - 4);
  expect_refused(status_code::overlapping_buffers);
  out.prices = out.pruned.data - weights / 64 * 2 * 8 + 1;  // the last price
  expect_refused(status_code::overlapping_buffers);
}

TEST_F(Errors, RefuseOutputsThatOverlapTheWeights) {
  const auto good = out;
  out.mask = reinterpret_cast<std::uint8_t*>(input.data() + weights - 1);
  expect_refused(status_code::overlapping_buffers);
  out = good;
  view.batch = 1;
  out.pruned = input.data() + 1;
  expect_refused(status_code::overlapping_buffers);
  out.pruned = {input.data(), cols + 8};  // the same pointer, another stride
  expect_refused(status_code::overlapping_buffers);
  out = good;
  out.prices = input.data() + weights - 1;
  view.batch = batch;
  expect_refused(status_code::overlapping_buffers);
}

TEST_F(Errors, RefuseOptionsOutOfRange) {
  const auto refused = [this](auto spoil) {
    opts = {};
    spoil(opts);
    expect_refused(status_code::invalid_option);
  };
  refused([](auto& o) { o.iterations = 0; });
  refused([](auto& o) { o.iterations = 100001; });
  refused([](auto& o) { o.tau = 0; });
  refused([](auto& o) { o.tau = -0.005; });
  refused([](auto& o) { o.tau = 1e-5; });
  refused([](auto& o) { o.tau = 2e4; });
  refused([](auto& o) { o.tau = std::numeric_limits<double>::quiet_NaN(); });
  refused([](auto& o) { o.tau = std::numeric_limits<double>::infinity(); });
  refused([](auto& o) { o.local_search_steps = -1; });
  refused([](auto& o) { o.local_search_steps = 4097; });
  refused([](auto& o) { o.method = static_cast<tsenor::method>(99); });
  refused([](auto& o) { o.constraint = static_cast<tsenor::constraint>(99); });
  refused([](auto& o) { o.edge = static_cast<tsenor::edge>(99); });
  refused([](auto& o) { o.start = static_cast<tsenor::start>(99); });
}

TEST_F(Errors, RefuseAWarmStartOfThePublishedMethod) {
  opts = tsenor::options::published();
  opts.start = tsenor::start::warm;
  expect_refused(status_code::invalid_option);
}

TEST_F(Errors, RefuseAWarmStartWithoutPrices) {
  opts.start = tsenor::start::warm;
  out.prices = nullptr;
  expect_refused(status_code::invalid_option);
}

TEST_F(Errors, AreAbsentFromAWarmStartWithPrices) {
  opts.start = tsenor::start::warm;
  EXPECT_TRUE(call().ok());
}

TEST_F(Errors, RefuseANegativeNumberOfThreads) {
  threads = -1;
  expect_refused(status_code::invalid_option);
}

TEST_F(Errors, AreAbsentFromOptionsAtTheEndsOfTheirRanges) {
  opts = tsenor::options::published();
  opts.iterations = 1;
  opts.tau = 1e4;
  opts.local_search_steps = 0;
  EXPECT_TRUE(call().ok());
  opts.tau = 1e-4;
  opts.local_search_steps = 4096;
  EXPECT_TRUE(call().ok());
}

TEST_F(Errors, AreAbsentFromEmptyMatricesWithNullPointers) {
  for (const auto& [r, c, b] : {std::array<std::int64_t, 3>{0, 24, 1}, {16, 0, 1}, {16, 24, 0}, {0, 0, 0}}) {
    const tsenor::matrix_view<const float> empty(nullptr, r, c, c, b, r * c);
    const tsenor::status s = find_any<float>(tsenor::cpu_executor{2}, p, empty, {}, opts);
    EXPECT_TRUE(s.ok()) << r << " " << c << " " << b << ": " << s.message();
  }
  opts.start = tsenor::start::warm;
  const tsenor::status warm = find_any<float>(tsenor::cpu_executor{2}, p, {nullptr, 0, 24}, {}, opts);
  EXPECT_TRUE(warm.ok()) << warm.message();
}

TEST_F(Errors, AreAbsentFromPricesOfDoublesForDoubles) {
  const std::vector<double> doubles(64, 1.0);
  std::vector<double> prices(16);
  tsenor::mask_outputs<double> wide;
  wide.prices = prices.data();
  const tsenor::matrix_view<const double> one_tile(doubles.data(), 8, 8);
  EXPECT_TRUE((find_fixed<4, 8>(tsenor::cpu_executor{1}, one_tile, wide).ok()));
  wide.prices = reinterpret_cast<double*>(block(4) + 4);
  EXPECT_EQ((find_fixed<4, 8>(tsenor::cpu_executor{1}, one_tile, wide).code()), status_code::invalid_pointer);
}

// An error in another argument is an error all the same.
TEST_F(Errors, AreFoundInEmptyCallsToo) {
  view = {nullptr, 0, 24};
  opts.iterations = 0;
  expect_refused(status_code::invalid_option);
}

}  // namespace
}  // namespace tsenor_test
