// The compressed 2:4 form on the host against an encoder that goes the other way, from the bits to the matrix, and
// against what the vendor made of matrices that can be made again; the checks of calls that write it on the GPU, which come
// before any launch; and the gradient's estimate in that form, which is the GPU's kernel, thread after thread.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sparse24_case.hpp"
#include "support/small_floats.hpp"
#include "tsenor/detail/validate24.hpp"
#include "tsenor/importance.hpp"
#include "tsenor/sparse24/mvue.hpp"

namespace {

using namespace tsenor_test;
namespace sparse24 = tsenor::sparse24;
using sparse24::operand;
using sparse24::detail::four_words;
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

template <class T>
class Mvue : public testing::Test {};
using small_types = testing::Types<tsenor::bfloat16, tsenor::float16>;
TYPED_TEST_SUITE(Mvue, small_types);

/// The estimate of a gradient `[tokens, features]`, as a dense matrix `[features, tokens]`.
template <class T>
std::vector<T> estimate(const std::vector<T>& gradient, std::int64_t tokens, std::int64_t features,
                        const sparse24::random_state& random, std::vector<four_words>* form = nullptr) {
  std::vector<four_words> compressed(sparse24::compressed_size(tokens, features) / sizeof(four_words));
  const tsenor::matrix_view<const T> view(gradient.data(), tokens, features);
  EXPECT_TRUE(sparse24::compress_mvue(view, compressed.data(), random).ok());
  std::vector<T> dense(gradient.size());
  EXPECT_TRUE(sparse24::decompress(compressed.data(), features, tokens, dense.data()).ok());
  if (form != nullptr) *form = compressed;
  return dense;
}

/// The number of a 16-bit type, NaN and infinity included.
template <class T>
T number(double value) {
  const int infinity = std::is_same_v<T, tsenor::float16> ? 0x7c00 : 0x7f80;
  if (std::isfinite(value)) return encoded<T>(value);
  return T{static_cast<std::uint16_t>((std::signbit(value) ? 0x8000 : 0) | infinity | (std::isnan(value) ? 5 : 0))};
}

/// A column of four for each feature, all tokens alike.
template <class T>
std::vector<T> gradient_of(std::int64_t tokens, const std::vector<std::array<double, 4>>& groups) {
  std::vector<T> gradient(tokens * groups.size());
  for (std::size_t k = 0; k < gradient.size(); ++k)
    gradient[k] = number<T>(groups[k % groups.size()][k / groups.size() % 4]);
  return gradient;
}

/// h of mvue.hpp, from the sorted magnitudes.
double threshold(std::array<double, 4> group) {
  for (double& e : group) e = std::abs(e);
  std::sort(group.begin(), group.end());
  const double others = group[0] + group[1] + group[2];
  return group[3] > others ? others : (others + group[3]) / 2;
}

TEST(Philox, GivesThePublishedNumbers) {
  using numbers = std::array<std::uint32_t, 4>;
  const auto of = [](std::uint64_t seed, std::uint64_t sequence, std::uint64_t block) {
    const sparse24::detail::philox p(seed, sequence, block);
    return numbers{p.x[0], p.x[1], p.x[2], p.x[3]};
  };
  constexpr std::uint64_t ones = ~std::uint64_t(0);
  EXPECT_EQ(of(0, 0, 0), (numbers{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(of(ones, ones, ones), (numbers{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(of(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (numbers{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TYPED_TEST(Mvue, IsInTheCompressedFormOfItsTranspose) {
  for (const auto [tokens, features] : {std::array<std::int64_t, 2>{64, 64}, {192, 128}, {128, 320}, {320, 64}}) {
    std::vector<TypeParam> gradient(tokens * features);
    std::mt19937_64 bits(seed);
    std::normal_distribution<double> normal;
    for (auto& e : gradient) e = encoded<TypeParam>(std::copysign(0.01, normal(bits)) + normal(bits));
    std::vector<four_words> form;
    const auto dense = estimate(gradient, tokens, features, {seed, 0}, &form);
    const auto bits_at = [&](std::int64_t r, std::int64_t c) { return int{dense[r * tokens + c].bits}; };
    const auto expected = naive_compressed(features, tokens, 2, bits_at,
                                           [&](std::int64_t r, std::int64_t c) { return bits_at(r, c) != 0; });
    ASSERT_EQ(expected.size(), form.size() * sizeof(four_words));
    EXPECT_EQ(std::memcmp(expected.data(), form.data(), expected.size()), 0) << tokens << " x " << features;
    for (std::int64_t k = 0; k < tokens * features; ++k) {
      const std::int64_t f = k / tokens, token = k % tokens;
      std::array<double, 4> group{};
      for (int i = 0; i < 4; ++i) group[i] = decoded(gradient[(token / 4 * 4 + i) * features + f]);
      const double e = group[token % 4], kept = std::copysign(std::max(std::abs(e), threshold(group)), e);
      EXPECT_TRUE(dense[k].bits == 0 || std::abs(decoded(dense[k]) / kept - 1) < 1. / 128) << f << ", " << token;
    }
  }
}

TYPED_TEST(Mvue, RoundsUpOrDownAtRandom) {
  const double least = std::is_same_v<TypeParam, tsenor::float16> ? std::ldexp(1, -24) : std::ldexp(1, -133);
  for (const float x :
       {1.f, 1.00390625f, 1.0001f, 3.1415927f, 65000.f, float(1.25 * least), float(200.7 * least), 0.f}) {
    double sum = 0;
    for (std::uint32_t noise = 0; noise < 65536; ++noise) {
      const auto bits = static_cast<std::uint16_t>(sparse24::detail::rounded(x, noise, TypeParam{}) >> 16);
      sum += decoded(TypeParam{bits});
      EXPECT_LE(std::abs(decoded(TypeParam{bits}) - double(x)), std::max(double(x) / 128, least)) << x;
    }
    EXPECT_NEAR(sum / 65536, double(x), std::max(double(x) / 128, least) / 4096) << x;
  }
}

/// Groups of every kind: alike, wide apart, one that is larger than the others together, ties, zeros, very small ones.
std::vector<std::array<double, 4>> kinds_of_groups(double least) {
  std::vector<std::array<double, 4>> groups = {
      {1, 1, 1, 1},    {1, 2, 3, 6},  {1, 2, 3, 6.5},   {0, 1, 0, 0},     {1, 0, 0, 0},   {0, 0, 0, -1},
      {0, -3, 0, 2},   {0, 0, 0, 0},  {2, 0, 1, 1},     {100, 1, -1, 1},  {1, 100, 1, 1}, {1, 1, 100, 1},
      {1, 1, 1, -100}, {0, 1, -1, 1}, {1, 1, 1e-2, -1}, {1, 1e-3, -1, 0}, {3, 1, 1, 1},   {7, 0.9, 0.03, 0.01}};
  for (auto& e : std::array<double, 4>{least, 3 * least, 100 * least, 1e4 * least})
    groups.push_back({e, -2 * e, 3 * e, 5 * e});
  std::mt19937_64 bits(seed);
  std::normal_distribution<double> normal;
  while (groups.size() < 64) groups.push_back({normal(bits), normal(bits), normal(bits), normal(bits)});
  return groups;
}

// Over 10^4 draws, entry by entry; and its variance is that of the probabilities min(1, |e| / h), the least there is.
TYPED_TEST(Mvue, IsRightInTheMeanWithTheLeastVariance) {
  constexpr std::int64_t tokens = 64, features = 64, rounds = 10000 / (tokens / 4);
  constexpr double draws = double(rounds) * tokens / 4;
  const double least = std::is_same_v<TypeParam, tsenor::float16> ? std::ldexp(1, -24) : std::ldexp(1, -133);
  const auto gradient = gradient_of<TypeParam>(tokens, kinds_of_groups(least));
  std::vector<double> sum(4 * features), squares(4 * features);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const auto dense = estimate(gradient, tokens, features, {seed, 8 * round});
    for (std::int64_t k = 0; k < tokens * features; ++k) {
      const std::int64_t place = k % 4 * features + k / tokens;
      const double e = decoded(gradient[place]), got = decoded(dense[k]);
      sum[place] += got, squares[place] += (got - e) * (got - e);
    }
  }
  for (std::int64_t f = 0; f < features; ++f) {
    std::array<double, 4> group{};
    for (int k = 0; k < 4; ++k) group[k] = decoded(gradient[k * features + f]);
    const double h = threshold(group), unit = std::max(h / 128, least);  // of the last place of h, at most
    double variance = 0, least_variance = 0;
    for (int k = 0; k < 4; ++k) {
      const double e = group[k], mine = std::max(0.0, std::abs(e) * h - e * e);
      const double error = std::sqrt((mine + unit * unit) / draws);
      EXPECT_NEAR(sum[k * features + f] / draws, e, 5 * error + 8 * h / draws) << f << ", " << k << ", seed " << seed;
      variance += squares[k * features + f] / draws, least_variance += mine;
    }
    EXPECT_LE(variance, 1.1 * least_variance + unit * unit) << f << ", seed " << seed;
  }
}

TYPED_TEST(Mvue, KeepsWhatIsNotFinite) {
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const double most = std::is_same_v<TypeParam, tsenor::float16> ? 65504 : 3.3e38;
  std::vector<std::array<double, 4>> groups(64, {1, -2, 3, 4});
  const auto finite = estimate(gradient_of<TypeParam>(256, groups), 256, 64, {seed, 0});
  groups[1] = {inf, 1, 0, 2}, groups[2] = {1, nan, 2, 3}, groups[3] = {0, 0, -inf, 0},
  groups[4] = {inf, most, nan, most};
  groups[5] = {nan, nan, nan, nan}, groups[6] = {inf, 1, -inf, inf};
  groups[7] = {most, -most, most, most}, groups[8] = {most, most / 2, most / 2, -most / 2};
  const auto gradient = gradient_of<TypeParam>(256, groups);
  const auto dense = estimate(gradient, 256, 64, {seed, 0});
  for (std::int64_t f = 0; f < 64; ++f) {
    std::array<int, 4> kept{};
    for (std::int64_t token = 0; token < 256; ++token) {
      const TypeParam got = dense[f * 256 + token], from = gradient[token % 4 * 64 + f];
      kept[token % 4] += got.bits != 0;
      if (got.bits == 0) continue;
      EXPECT_TRUE(std::isfinite(decoded(from)) || got.bits == from.bits) << f;
      EXPECT_TRUE((f != 7 && f != 8) || decoded(got) == std::copysign(inf, decoded(from))) << f;
      EXPECT_TRUE((f > 0 && f < 9) || got.bits == finite[f * 256 + token].bits) << f;
    }
    int special = 0, always = 0;
    for (int k = 0; k < 4; ++k) special += !std::isfinite(groups[f][k]), always += kept[k] == 64;
    EXPECT_EQ(kept[0] + kept[1] + kept[2] + kept[3], f == 3 ? 64 : 128) << f;  // at 3 the second is a zero
    EXPECT_EQ(always, special > 2 ? 0 : special) << f;                         // of more, and of numbers, any may go
  }
}

TEST(MvueRandom, BelongsToPlacesAndToSeedAndOffset) {
  std::vector<tsenor::bfloat16> gradient(256 * 64);
  for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] = encoded<tsenor::bfloat16>(1 + double(k % 97));
  const auto bits = [&](std::int64_t tokens, const sparse24::random_state& random) {
    std::vector<std::uint16_t> result;
    const auto dense =
        estimate<tsenor::bfloat16>({gradient.begin(), gradient.begin() + tokens * 64}, tokens, 64, random);
    for (std::int64_t f = 0; f < 64; ++f)
      for (std::int64_t token = 0; token < 64; ++token) result.push_back(dense[f * tokens + token].bits);
    return result;
  };
  const std::int64_t seed_here = 5, offset_here = 16;
  EXPECT_EQ(bits(64, {5, 24}), bits(256, {5, 24}));
  EXPECT_EQ(bits(64, {5, 24}), bits(64, {9, 8, &seed_here, &offset_here}));
  EXPECT_NE(bits(64, {5, 24}), bits(64, {5, 32}));
  EXPECT_NE(bits(64, {5, 24}), bits(64, {6, 24}));
}

// Of equals either the first and third or the others are kept: tosses of a coin, for each group its own.
TEST(MvueRandom, IsIndependentFromPlaceToPlaceAndFromDrawToDraw) {
  constexpr std::int64_t features = 128, groups = 64;
  const std::vector<tsenor::bfloat16> ones(4 * groups * features, encoded<tsenor::bfloat16>(1));
  std::vector<int> tosses;
  for (const std::uint64_t offset : {0, 8, 16, 24}) {
    const auto dense = estimate(ones, 4 * groups, features, {seed, offset});
    for (std::int64_t k = 0; k < groups * features; ++k) tosses.push_back(dense[4 * k].bits != 0);
  }
  for (const std::int64_t apart : {1, 2, 4, 8, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}) {
    double alike = 0, pairs = double(tosses.size() - apart);
    for (std::size_t k = apart; k < tosses.size(); ++k) alike += tosses[k] == tosses[k - apart];
    EXPECT_NEAR(alike / pairs, 0.5, 2.5 / std::sqrt(pairs)) << apart;
  }
}

TEST(MvueRandom, RefusesWhatItCannotHold) {
  using code = tsenor::status_code;
  std::vector<four_words> memory(2 * sparse24::compressed_size(64, 64) / sizeof(four_words));
  const std::vector<four_words> gradient(64 * 72 / 8);
  const auto* const g = reinterpret_cast<const tsenor::bfloat16*>(gradient.data());
  const auto outcome = [&](const tsenor::matrix_view<const tsenor::bfloat16>& view, int past, std::uint64_t offset) {
    return sparse24::compress_mvue(view, reinterpret_cast<char*>(memory.data()) + past, {0, offset}).code();
  };
  EXPECT_EQ(outcome({g, 64, 64, 72}, 0, 4), code::success);
  EXPECT_EQ(outcome({g, 0, 64}, 0, 0), code::success);
  EXPECT_EQ(outcome({g, 32, 64}, 0, 0), code::not_divisible);
  EXPECT_EQ(outcome({g, 64, 64, 68}, 0, 0), code::invalid_pointer);
  EXPECT_EQ(outcome({g + 4, 64, 64}, 0, 0), code::invalid_pointer);
  EXPECT_EQ(outcome({nullptr, 64, 64}, 0, 0), code::invalid_pointer);
  EXPECT_EQ(outcome({g, 64, 64}, 8, 0), code::invalid_pointer);
  EXPECT_EQ(outcome({g, 64, 64}, 0, 2), code::invalid_option);
  EXPECT_EQ(outcome({reinterpret_cast<const tsenor::bfloat16*>(memory.data()), 64, 64}, 0, 0),
            code::overlapping_buffers);
  EXPECT_EQ(outcome({g, 64, 64, 64, 2, 64 * 64}, 0, 0), code::invalid_shape);
}

}  // namespace
