// The compressed 2:4 form on the host against an encoder that goes the other way, from the bits to the matrix.
#include <gtest/gtest.h>

#include "sparse24_case.hpp"

namespace {

using namespace tsenor_test;
namespace sparse24 = tsenor::sparse24;
using sparse24::operand;
using weights_view = tsenor::matrix_view<const tsenor::bfloat16>;
using mask_view = tsenor::matrix_view<const std::uint8_t>;

constexpr std::uint64_t seed = 24;
constexpr unsigned char poison = 0xa5;

TEST(Sparse24Layout, IsThatOfTheNaiveEncoder) {
  for (const auto [rows, cols, stride] : {std::array<std::int64_t, 3>{64, 64, 64}, {64, 256, 256}, {192, 128, 136}})
    for (const operand which : {operand::weights, operand::transposed}) {
      const auto weights = random_bits(rows * stride, seed);
      const auto mask = random_mask24(rows, cols, seed);
      std::vector<unsigned char> compressed(sparse24::compressed_size(rows, cols), poison);
      const tsenor::status s = sparse24::compress(weights_view(weights.data(), rows, cols, stride),
                                                  mask_view(mask.data(), rows, cols), which, compressed.data());
      ASSERT_TRUE(s.ok()) << s.message();
      EXPECT_EQ(compressed, naive_compressed(weights, mask, rows, cols, stride, which))
          << rows << " x " << cols << ", transposed: " << (which == operand::transposed) << ", seed " << seed;
    }
}

// The nibbles of a few places, worked out by hand.
TEST(Sparse24Layout, PutsNibblesWhereTheVendorDoes) {
  EXPECT_EQ(sparse24::metadata_byte(0, 0, 16), 0);
  EXPECT_EQ(sparse24::metadata_byte(8, 0, 16), 0);  // shares the byte of row 0
  EXPECT_EQ(sparse24::metadata_shift(0), 0);
  EXPECT_EQ(sparse24::metadata_shift(8), 4);
  EXPECT_EQ(sparse24::metadata_byte(0, 4, 16), 1);
  EXPECT_EQ(sparse24::metadata_byte(0, 1, 16), 2);
  EXPECT_EQ(sparse24::metadata_byte(1, 0, 16), 8);
  EXPECT_EQ(sparse24::metadata_byte(16, 0, 16), 64);
  EXPECT_EQ(sparse24::metadata_byte(63, 7, 16), 255);
  EXPECT_EQ(sparse24::metadata_byte(0, 8, 16), 256);
  EXPECT_EQ(sparse24::metadata_byte(64, 0, 16), 512);
}

TEST(Sparse24Layout, RefusesWhatItCannotHold) {
  const auto weights = random_bits(128 * 128, seed);
  auto mask = random_mask24(128, 128, seed);
  std::vector<unsigned char> compressed(sparse24::compressed_size(128, 128), poison);
  const auto untouched = compressed;
  const auto outcome = [&](std::int64_t rows, std::int64_t cols, void* to) {
    return sparse24::compress(weights_view(weights.data(), rows, cols), mask_view(mask.data(), rows, cols),
                              operand::weights, to)
        .code();
  };
  EXPECT_EQ(outcome(128, 96, compressed.data()), tsenor::status_code::not_divisible);
  EXPECT_EQ(outcome(32, 128, compressed.data()), tsenor::status_code::not_divisible);
  EXPECT_EQ(outcome(-64, 128, compressed.data()), tsenor::status_code::invalid_shape);
  EXPECT_EQ(outcome(128, 128, nullptr), tsenor::status_code::invalid_pointer);
  EXPECT_EQ(outcome(0, 128, nullptr), tsenor::status_code::success);
  mask[5 * 128 + 7] ^= 1;
  EXPECT_EQ(outcome(128, 128, compressed.data()), tsenor::status_code::invalid_option);
  EXPECT_EQ(compressed, untouched);
}

}  // namespace
