// The compressed 2:4 form on the host against an encoder that goes the other way, from the bits to the matrix, and
// against what the vendor made of matrices that can be made again; and the checks of calls that write it on the GPU,
// which come before any launch.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sparse24_case.hpp"
#include "support/small_floats.hpp"
#include "tsenor/detail/validate24.hpp"
#include "tsenor/importance.hpp"

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

// Of one number, or one for each row of the operand; NaN, infinities and numbers too large for float8 among the
// weights.
TEST(Sparse24Layout, OfFloat8IsThatOfTheNaiveEncoderAndCast) {
  for (const auto [rows, cols, stride] : {std::array<std::int64_t, 3>{64, 64, 64}, {64, 256, 256}, {192, 128, 136}})
    for (const operand which : {operand::weights, operand::transposed})
      for (const bool by_row : {false, true}) {
        const auto weights = random_bits(rows * stride, seed);
        const auto mask = random_mask24(rows, cols, seed);
        const auto numbers = random_scales(by_row ? (which == operand::weights ? rows : stride) : 1, seed);
        std::vector<unsigned char> compressed(sparse24::compressed_size(rows, cols, 1), poison);
        const tsenor::status s =
            sparse24::compress(weights_view(weights.data(), rows, cols, stride), mask_view(mask.data(), rows, cols),
                               which, sparse24::scale{numbers.data(), by_row}, compressed.data());
        ASSERT_TRUE(s.ok()) << s.message();
        const auto cast = naive_cast(weights, numbers, stride, which);
        EXPECT_EQ(compressed, naive_compressed(cast, mask, rows, cols, stride, which))
            << rows << " x " << cols << ", transposed: " << (which == operand::transposed) << ", seed " << seed;
      }
}

// A matrix with kept(value index) at the two columns pair(group index) of each group, compressed as it is.
template <class T, class Kept, class Pair>
std::vector<unsigned char> compressed_of(std::int64_t rows, std::int64_t cols, const Kept& kept, const Pair& pair) {
  std::vector<T> weights(rows * cols, T{0});
  std::vector<std::uint8_t> mask(rows * cols);
  for (std::int64_t group = 0; group < rows * cols / 4; ++group)
    for (int k = 0; k < 2; ++k) {
      const std::int64_t at = 4 * group + pair(group)[k];
      weights[at] = T{static_cast<decltype(T::bits)>(kept(2 * group + k))};
      mask[at] = 1;
    }
  std::vector<unsigned char> bytes(sparse24::compressed_size(rows, cols, sizeof(T)), poison);
  const tsenor::status s = sparse24::compress(tsenor::matrix_view<const T>(weights.data(), rows, cols),
                                              mask_view(mask.data(), rows, cols), operand::weights, bytes.data());
  EXPECT_TRUE(s.ok()) << s.message();
  return bytes;
}

// The bytes of several matrices, one after the other, as one number (FNV-1a).
class digest {
 public:
  void add(const std::vector<unsigned char>& bytes) {
    for (const unsigned char byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3u;
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

// Matrices that tell where each value and each nibble goes: values with the digits of their place, six bits a matrix,
// and groups that keep (0, 1), or, where a bit of their place is set, (2, 3) or (1, 2).
template <class T>
std::uint64_t digest_of_probes(std::int64_t rows, std::int64_t cols) {
  constexpr int least = sizeof(T) == 1 ? 0x10 : 0x3f10, one = sizeof(T) == 1 ? 0x38 : 0x3f80;
  static constexpr int pairs[][2] = {{0, 1}, {2, 3}, {1, 2}};
  digest all;
  for (int digit = 0; digit == 0 || (std::int64_t{1} << 6 * digit) < rows * cols / 2; ++digit)
    all.add(compressed_of<T>(
        rows, cols, [&](std::int64_t value) { return least + (value >> 6 * digit) % 64; },
        [](std::int64_t) { return pairs[0]; }));
  for (int other = 1; other <= 2; ++other)
    for (int bit = 0; (std::int64_t{1} << bit) < rows * cols / 4; ++bit)
      all.add(compressed_of<T>(
          rows, cols, [](std::int64_t) { return one; },
          [&](std::int64_t group) { return pairs[group >> bit & 1 ? other : 0]; }));
  return all.value();
}

// Recorded from torch._cslt_compress of PyTorch 2.11 (cuSPARSELt 0.8.0) on an H100: all bytes of all these matrices.
TEST(Sparse24Layout, IsTheVendorsByteForByte) {
  using tsenor::bfloat16;
  using tsenor::float8_e4m3;
  EXPECT_EQ(digest_of_probes<bfloat16>(64, 128), 0xd2a7e3182e8bfd25u);
  EXPECT_EQ(digest_of_probes<bfloat16>(128, 256), 0x123f316d09a39b25u);
  EXPECT_EQ(digest_of_probes<float8_e4m3>(64, 64), 0xf9a70f0d508d3325u);
  EXPECT_EQ(digest_of_probes<float8_e4m3>(64, 256), 0xb2651448f8b48925u);
  EXPECT_EQ(digest_of_probes<float8_e4m3>(256, 64), 0x3ce40eb01bb48925u);
  EXPECT_EQ(digest_of_probes<float8_e4m3>(128, 256), 0x89335adcb8167725u);
  EXPECT_EQ(digest_of_probes<float8_e4m3>(192, 320), 0xfc61de9a87530825u);
}

// The nibbles of a few places, worked out by hand.
TEST(Sparse24Layout, PutsNibblesWhereTheVendorDoes) {
  EXPECT_EQ(sparse24::metadata_byte(0, 0, 16), 0);
  EXPECT_EQ(sparse24::metadata_byte(8, 0, 16), 0);  // shares the byte of row 0
  EXPECT_EQ(sparse24::metadata_shift(0, 1), 0);
  EXPECT_EQ(sparse24::metadata_shift(8, 0), 4);
  EXPECT_EQ(sparse24::metadata_byte(0, 4, 16), 1);
  EXPECT_EQ(sparse24::metadata_byte(0, 1, 16), 2);
  EXPECT_EQ(sparse24::metadata_byte(1, 0, 16), 8);
  EXPECT_EQ(sparse24::metadata_byte(16, 0, 16), 64);
  EXPECT_EQ(sparse24::metadata_byte(63, 7, 16), 255);
  EXPECT_EQ(sparse24::metadata_byte(0, 8, 16), 256);
  EXPECT_EQ(sparse24::metadata_byte(64, 0, 16), 512);
}
TEST(Sparse24Layout, PutsNibblesOfFloat8WhereTheVendorDoes) {
  EXPECT_EQ(sparse24::metadata_byte<1>(0, 1, 32), 0);  // shares the byte of group 0
  EXPECT_EQ(sparse24::metadata_shift<1>(8, 0), 0);
  EXPECT_EQ(sparse24::metadata_shift<1>(0, 1), 4);
  EXPECT_EQ(sparse24::metadata_byte<1>(8, 0, 32), 1);
  EXPECT_EQ(sparse24::metadata_byte<1>(0, 8, 32), 2);
  EXPECT_EQ(sparse24::metadata_byte<1>(0, 2, 32), 4);
  EXPECT_EQ(sparse24::metadata_byte<1>(1, 0, 32), 16);
  EXPECT_EQ(sparse24::metadata_byte<1>(16, 0, 32), 128);
  EXPECT_EQ(sparse24::metadata_byte<1>(63, 15, 32), 511);
  EXPECT_EQ(sparse24::metadata_byte<1>(0, 16, 32), 512);
  EXPECT_EQ(sparse24::metadata_byte<1>(64, 0, 32), 1024);
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
  EXPECT_EQ(sparse24::compress(weights_view(weights.data(), 128, 128), mask_view(mask.data(), 128, 128),
                               operand::weights, sparse24::scale{}, compressed.data())
                .code(),
            tsenor::status_code::invalid_pointer);
  mask[5 * 128 + 7] ^= 1;
  EXPECT_EQ(outcome(128, 128, compressed.data()), tsenor::status_code::invalid_option);
  EXPECT_EQ(compressed, untouched);
}

// ---- calls of the GPU ----

using tsenor::status;
using tsenor::status_code;

constexpr std::int64_t side = 64, tiles = side * side / 16;

enum buffer { weights, given, norms, mask, packed, pruned, reports, prices, of_w, of_w_transposed, buffer_count };
constexpr const char* names[] = {"weights", "given",   "norms",  "mask",         "packed",
                                 "pruned",  "reports", "prices", "operand of W", "operand of W^T"};
constexpr bool is_read(int b) { return b <= norms; }

constexpr std::size_t size_of(int b) {
  constexpr std::size_t compressed = tsenor::sparse24::compressed_size(side, side);
  constexpr std::size_t sizes[] = {2 * side * side,
                                   side * side,
                                   side * sizeof(float),
                                   side * side,
                                   side * side / 4,
                                   2 * side * side,
                                   tiles * sizeof(tsenor::tile_report),
                                   tiles * 8 * sizeof(float),
                                   compressed,
                                   compressed};
  return sizes[b];
}

// A call whose buffers lie where `at` says.
class call {
 public:
  std::array<unsigned char*, buffer_count> at{};

  call() {
    unsigned char* next = arena_.data() + 64 - reinterpret_cast<std::uintptr_t>(arena_.data()) % 64;
    for (int b = 0; b < buffer_count; b++, next += spacing) at[b] = next;
  }
  status check(int value_bytes = 2, const sparse24::scales& by = {}) const {
    tsenor::mask_outputs<tsenor::bfloat16> out;
    out.mask.data = at[mask];
    out.packed.data = at[packed];
    out.pruned.data = reinterpret_cast<tsenor::bfloat16*>(at[pruned]);
    out.reports = reinterpret_cast<tsenor::tile_report*>(at[reports]);
    out.prices = reinterpret_cast<float*>(at[prices]);
    const tsenor::wanda importance{reinterpret_cast<const float*>(at[norms])};
    const tsenor::matrix_view<const tsenor::bfloat16> view(reinterpret_cast<tsenor::bfloat16*>(at[weights]), side,
                                                           side);
    auto problem = tsenor::detail::make_problem(tsenor::pattern{2, 4}, view, out, tsenor::options{}, importance);
    const tsenor::matrix_view<const std::uint8_t> kept(at[given], side, side);
    if (const status s = tsenor::detail::check_given24(kept, side, side); !s.ok()) return s;
    return tsenor::detail::check_compress24(problem, kept, {at[of_w], at[of_w_transposed]}, value_bytes, by);
  }

 private:
  static constexpr std::size_t spacing = 1 << 15;
  std::vector<unsigned char> arena_ = std::vector<unsigned char>((buffer_count + 2) * spacing);
};

TEST(Sparse24Arguments, RefuseBuffersThatShareMemory) {
  ASSERT_TRUE(call().check().ok()) << call().check().message();
  for (int a = 0; a < buffer_count; a++)
    for (int b = 0; b < buffer_count; b++) {
      if (a == b) continue;
      call c;
      c.at[b] = c.at[a] + size_of(a);  // the next byte is another's
      EXPECT_TRUE(c.check().ok()) << names[b] << " behind " << names[a] << ": " << c.check().message();
      c.at[b] -= 16;
      const status s = c.check();
      const status_code expected = is_read(a) && is_read(b) ? status_code::success : status_code::overlapping_buffers;
      EXPECT_EQ(s.code(), expected) << names[b] << " within " << names[a] << ": " << s.message();
    }
}

TEST(Sparse24Arguments, MayBePrunedInPlace) {
  call c;
  c.at[pruned] = c.at[weights];
  EXPECT_TRUE(c.check().ok()) << c.check().message();
}

TEST(Sparse24Arguments, AreNeededWhereSomethingIsWritten) {
  const call whole;
  call c;
  for (int b = mask; b < buffer_count; b++) c.at[b] = nullptr;
  EXPECT_EQ(c.check().code(), status_code::invalid_pointer) << "nothing to write";
  for (int b = mask; b < buffer_count; b++) {
    call one = c;
    one.at[b] = whole.at[b];
    EXPECT_TRUE(one.check().ok()) << names[b] << " alone: " << one.check().message();
  }
  call without_mask;
  without_mask.at[given] = nullptr;
  EXPECT_EQ(without_mask.check().code(), status_code::invalid_pointer) << "no mask";
}

TEST(Sparse24Arguments, BeginOnTheirBoundaries) {
  for (const auto [b, past] : {std::array{int(given), 2}, {int(of_w), 8}, {int(of_w_transposed), 1}}) {
    call c;
    c.at[b] += past;
    EXPECT_EQ(c.check().code(), status_code::invalid_pointer) << names[b];
  }
}

TEST(Sparse24Arguments, OfFloat8HaveScalesThatNothingOverwrites) {
  const call c;
  const auto scale_at = [&](int b) { return sparse24::scale{reinterpret_cast<const float*>(c.at[b]), b == mask}; };
  EXPECT_TRUE(c.check(1, {scale_at(norms), scale_at(norms)}).ok());
  EXPECT_EQ(c.check(1, {scale_at(norms), {}}).code(), status_code::invalid_pointer);
  for (const int b : {mask, pruned, of_w, of_w_transposed})
    EXPECT_EQ(c.check(1, {scale_at(b), scale_at(norms)}).code(), status_code::overlapping_buffers) << names[b];
}

TEST(Sparse24Arguments, OfAGivenMaskHaveTheWeightsShape) {
  const std::vector<std::uint8_t> bytes(side * 2 * side);
  const auto code = [&](std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    const tsenor::matrix_view<const std::uint8_t> kept(bytes.data(), rows, cols, stride);
    return tsenor::detail::check_given24(kept, side, side).code();
  };
  EXPECT_EQ(code(side, side, 2 * side), status_code::success);
  EXPECT_EQ(code(side, 2 * side, 2 * side), status_code::invalid_shape);
  EXPECT_EQ(code(2 * side, side, side), status_code::invalid_shape);
  EXPECT_EQ(code(side, side, side - 4), status_code::invalid_shape);
  EXPECT_EQ(code(side, side, side + 1), status_code::invalid_pointer);
}

}  // namespace
