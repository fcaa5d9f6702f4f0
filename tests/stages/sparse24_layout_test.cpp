// The compressed 2:4 form on the host against an encoder that goes the other way, from the bits to the matrix; and the
// checks of calls that write it on the GPU, which come before any launch.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "sparse24_case.hpp"
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
  status check() const {
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
    return tsenor::detail::check_compress24(problem, kept, {at[of_w], at[of_w_transposed]});
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
