// The estimate of a gradient in the compressed 2:4 form, which is the GPU's kernel, thread after thread: unbiased, of
// the least variance, with the random numbers that are published.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sparse24_case.hpp"
#include "support/small_floats.hpp"
#include "tsenor/sparse24/mvue.hpp"

namespace {

using namespace tsenor_test;
namespace sparse24 = tsenor::sparse24;
using sparse24::detail::four_words;

constexpr std::uint64_t seed = 24;

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
    const auto bits_at = [&, across = tokens](std::int64_t r, std::int64_t c) {
      return int{dense[r * across + c].bits};
    };
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
