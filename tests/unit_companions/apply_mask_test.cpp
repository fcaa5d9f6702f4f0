#include "tsenor/apply_mask.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tsenor/weight_types.hpp"

namespace {

using tsenor::apply_mask;
using tsenor::cpu_executor;
using tsenor::matrix_view;
using tsenor::status_code;

using mask_view = matrix_view<const std::uint8_t>;

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T>
std::vector<T> random_bits(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> bytes(count * sizeof(T));
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <class T>
class ApplyMask : public testing::Test {};

using weight_types =
    testing::Types<float, double, tsenor::float16, tsenor::bfloat16, tsenor::float8_e4m3, tsenor::float8_e5m2>;
TYPED_TEST_SUITE(ApplyMask, weight_types);

TYPED_TEST(ApplyMask, CopiesKeptBitsAndClearsTheRestWithPaddingUntouched) {
  using T = TypeParam;
  constexpr std::int64_t rows = 5, cols = 37, batch = 3, in_stride = 40, mask_stride = 39, out_stride = 48;
  constexpr std::int64_t in_batch = rows * in_stride, mask_batch = rows * mask_stride,
                         out_batch = rows * out_stride + 8;
  const auto weights = random_bits<T>(batch * in_batch, 1);
  const auto kept = random_bits<std::uint8_t>(batch * mask_batch, 2);
  const auto poison = random_bits<T>(batch * out_batch, 3);
  auto pruned = poison;

  ASSERT_TRUE(apply_mask(cpu_executor{3}, matrix_view<const T>{weights.data(), rows, cols, in_stride, batch, in_batch},
                         {kept.data(), rows, cols, mask_stride, batch, mask_batch},
                         {pruned.data(), rows, cols, out_stride, batch, out_batch}));

  auto expected = poison;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        T* const to = &expected[b * out_batch + i * out_stride + j];
        std::memset(to, 0, sizeof(T));
        if (kept[b * mask_batch + i * mask_stride + j]) *to = weights[b * in_batch + i * in_stride + j];
      }
    }
  }
  EXPECT_EQ(bytes_of(pruned), bytes_of(expected));
}

TEST(ApplyMaskInPlace, WritesPositiveZerosOnly) {
  std::vector<float> weights{-1.f, -0.f, -std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()};
  const std::vector<std::uint8_t> kept{1, 0, 0, 0};
  const matrix_view view{weights.data(), 2, 2};
  ASSERT_TRUE(apply_mask(cpu_executor{}, view, {kept.data(), 2, 2}, view));
  EXPECT_EQ(bytes_of(weights), bytes_of(std::vector<float>{-1.f, 0.f, 0.f, 0.f}));
}

TEST(ApplyMaskThreads, DoNotChangeTheResult) {
  constexpr std::int64_t side = 1500;
  const auto weights = random_bits<float>(side * side, 4);
  const auto kept = random_bits<std::uint8_t>(side * side, 5);
  std::vector<float> one(side * side), four(side * side);
  const matrix_view in{weights.data(), side, side};
  ASSERT_TRUE(apply_mask(cpu_executor{1}, in, {kept.data(), side, side}, {one.data(), side, side}));
  ASSERT_TRUE(apply_mask(cpu_executor{4}, in, {kept.data(), side, side}, {four.data(), side, side}));
  EXPECT_EQ(bytes_of(one), bytes_of(four));
}

TEST(ApplyMaskEmpty, SucceedsWithNullPointers) {
  const matrix_view<const float> none{nullptr, 0, 8};
  EXPECT_TRUE(apply_mask(cpu_executor{}, none, {nullptr, 0, 8}, {nullptr, 0, 8}));
}

TEST(ApplyMaskErrors, RefuseNegativeThreads) {
  float weight = 1.f;
  const std::uint8_t kept = 0;
  const matrix_view view{&weight, 1, 1};
  EXPECT_EQ(apply_mask(cpu_executor{-1}, view, {&kept, 1, 1}, view).code(), status_code::invalid_option);
  EXPECT_EQ(weight, 1.f);
}

TEST(ApplyMaskErrors, LeaveTheOutputAlone) {
  const std::vector<float> weights(64, 1.f);
  const std::vector<std::uint8_t> kept(64, 1);
  std::vector<float> pruned(64, -3.f);
  const auto* unaligned = reinterpret_cast<const float*>(kept.data() + 1);
  const struct {
    matrix_view<const float> weights;
    mask_view mask;
    matrix_view<float> pruned;
    status_code expected;
  } cases[] = {
      {{weights.data(), 8, -8}, {kept.data(), 8, 8}, {pruned.data(), 8, 8}, status_code::invalid_shape},
      {{weights.data(), 8, 8, 4}, {kept.data(), 8, 8}, {pruned.data(), 8, 8}, status_code::invalid_shape},
      {{weights.data(), 8, 8}, {kept.data(), 4, 8}, {pruned.data(), 8, 8}, status_code::invalid_shape},
      {{weights.data(), 8, 8}, {kept.data(), 8, 8}, {pruned.data(), 8, 4}, status_code::invalid_shape},
      {{weights.data(), 8, 8}, {kept.data(), 8, 8}, {pruned.data(), 8, 8, 8, 0, 0}, status_code::invalid_shape},
      {{nullptr, 8, 8}, {kept.data(), 8, 8}, {pruned.data(), 8, 8}, status_code::invalid_pointer},
      {{weights.data(), 8, 8}, {nullptr, 8, 8}, {pruned.data(), 8, 8}, status_code::invalid_pointer},
      {{weights.data(), 8, 8}, {kept.data(), 8, 8}, {nullptr, 8, 8}, status_code::invalid_pointer},
      {{unaligned, 2, 2}, {kept.data(), 2, 2}, {pruned.data(), 2, 2}, status_code::invalid_pointer},
      {{pruned.data() + 1, 4, 8}, {kept.data(), 4, 8}, {pruned.data(), 4, 8}, status_code::overlapping_buffers},
      {{pruned.data(), 4, 8, 16}, {kept.data(), 4, 8}, {pruned.data(), 4, 8}, status_code::overlapping_buffers},
  };
  for (std::size_t k = 0; k < std::size(cases); ++k) {
    const auto& c = cases[k];
    EXPECT_EQ(apply_mask(cpu_executor{}, c.weights, c.mask, c.pruned).code(), c.expected) << "case " << k;
  }
  const mask_view within{reinterpret_cast<const std::uint8_t*>(pruned.data()) + 32, 8, 8};
  EXPECT_EQ(apply_mask(cpu_executor{}, matrix_view{weights.data(), 8, 8}, within, {pruned.data(), 8, 8}).code(),
            status_code::overlapping_buffers);
  EXPECT_EQ(pruned, std::vector<float>(64, -3.f));
}

}  // namespace
