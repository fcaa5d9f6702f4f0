/// \file
/// A 2:4 estimate of an output gradient that is right in the mean, with the least variance there is (MVUE, arXiv
/// 2203.10991), for the weight gradient on sparse tensor cores. What it is, and an encoder in plain C++.
///
/// The weight gradient dY^T X sums over tokens. Of each four tokens, two entries of dY are drawn, e with the
/// probability p = min(1, |e| / h), and kept as e / p. That is +-h, or e itself where |e| is larger. h makes the
/// probabilities add up to 2: it is half of the sum of the magnitudes, or, where one is larger than the other three
/// together, the sum of these. So each entry's mean is the entry, and no other way to keep two has less variance.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tsenor/detail/config.hpp"
#include "tsenor/detail/validate24.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/sparse24/layout.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor {
namespace sparse24 {

/// Which random numbers: those that cuRAND's Philox 4x32-10 has for a seed, from `offset` on, `mvue_numbers` of each
/// sequence. They belong to places of the matrix: the same state gives the same bits, on a GPU and on the CPU.
struct random_state {
  std::uint64_t seed = 0;
  std::uint64_t offset = 0;  ///< a multiple of 4
  /// Where not null, the seed is read here when the work runs (device memory on a GPU): for graphs, whose replays are
  /// to draw anew.
  const std::int64_t* seed_at = nullptr;
  const std::int64_t* offset_at = nullptr;  ///< where not null, the number there is added to `offset`
};

/// By how much to raise random_state::offset from one call to the next.
inline constexpr std::uint64_t mvue_numbers = 8;

namespace detail {

// Four random numbers of 32 bits: Philox 4x32-10 (Salmon et al., SC 2011), with cuRAND's use of the counter.
struct philox {
  std::uint32_t x[4];

  TSENOR_HOST_DEVICE philox(std::uint64_t seed, std::uint64_t sequence, std::uint64_t block)
      : x{std::uint32_t(block), std::uint32_t(block >> 32), std::uint32_t(sequence), std::uint32_t(sequence >> 32)} {
    std::uint32_t key[2] = {std::uint32_t(seed), std::uint32_t(seed >> 32)};
    for (int round = 0; round < 10; ++round, key[0] += 0x9e3779b9u, key[1] += 0xbb67ae85u) {
      const std::uint64_t a = std::uint64_t(x[0]) * 0xd2511f53u, b = std::uint64_t(x[2]) * 0xcd9e8d57u;
      x[0] = std::uint32_t(b >> 32) ^ x[1] ^ key[0];
      x[2] = std::uint32_t(a >> 32) ^ x[3] ^ key[1];
      x[1] = std::uint32_t(b);
      x[3] = std::uint32_t(a);
    }
  }
};

TSENOR_HOST_DEVICE inline std::uint32_t bits_of_float(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// 16-bit numbers are handled in the upper half of a word, where a bfloat16 is a float already.
TSENOR_HOST_DEVICE inline float magnitude_of(std::uint32_t x, bfloat16) {
  return std::fabs(tsenor::detail::float_of_bits(x));
}
TSENOR_HOST_DEVICE inline float magnitude_of(std::uint32_t x, float16) {
  return std::fabs(tsenor::detail::to_arithmetic(float16{static_cast<std::uint16_t>(x >> 16)}));
}

// A number that is not negative, rounded up or down by the lower bits of `noise`: in the mean it is x. To infinity as
// sums are. What is below the upper half means nothing.
TSENOR_HOST_DEVICE inline std::uint32_t rounded(float x, std::uint32_t noise, bfloat16) {
  return bits_of_float(x) + (noise & 0xffffu);
}
TSENOR_HOST_DEVICE inline std::uint32_t rounded(float x, std::uint32_t noise, float16) {
  constexpr float least_normal = 1.f / 16384, steps = 16777216;  // below it, numbers are 1 / steps apart
  if (x < least_normal) return std::uint32_t(x * steps + float(noise & 0x1fffu) / 8192) << 16;
  const std::uint32_t bits = (bits_of_float(x) - (112u << 23) + (noise & 0x1fffu)) >> 13;
  return (bits < 0x7c00u ? bits : 0x7c00u) << 16;
}

// What is kept of a group of four: two 16-bit numbers, the first in the low half, and their nibble of the metadata.
struct kept24 {
  std::uint32_t values, pair;
};

// Makes magnitudes that cannot be added up fit for it: numbers 2^64 times smaller, and all else larger than these by so
// much that it is drawn first. Returns what it divided by.
TSENOR_HOST_DEVICE inline float tame(float (&magnitude)[4]) {
  constexpr float scale = 18446744073709551616.f;
  for (float& m : magnitude) m = m <= FLT_MAX ? m / scale : FLT_MAX / 8;
  return scale;
}

// Two kept numbers: of each its own magnitude or h, whichever is larger. By their bits, so that NaN stays NaN.
TSENOR_HOST_DEVICE inline std::uint32_t kept_values(std::uint32_t first, std::uint32_t second, std::uint32_t h) {
  const std::uint32_t a = first & 0x7fffffffu, b = second & 0x7fffffffu;
  const std::uint32_t magnitudes = (a > h ? a : h) >> 16 | ((b > h ? b : h) & 0xffff0000u);
  return magnitudes | ((first >> 16 | (second & 0xffff0000u)) & 0x80008000u);
}

// Draws two of four. The magnitudes, cut off at h, lie one behind the other on a line of length 2h: kept are those
// under a random point of the first half and under the point h further on (systematic sampling). The upper 23 bits of
// `random` make the point, the lower ones round h. Without `Tames` the sum must be finite. `total` grows by the sum.
template <class T, bool Tames>
TSENOR_HOST_DEVICE kept24 draw(const std::uint32_t (&x)[4], std::uint32_t random, float& total) {
  float m[4], scale = 1;
  for (int k = 0; k < 4; ++k) m[k] = magnitude_of(x[k], T{});
  const auto sum_of = [&] { return (m[0] + m[1]) + (m[2] + m[3]); };
  if (Tames && !(sum_of() <= FLT_MAX)) scale = tame(m);
  const float sum = sum_of();
  total += sum;
  const float but_largest =
      std::fmin(std::fmax(m[0], m[1]), std::fmax(m[2], m[3])) + (std::fmin(m[0], m[1]) + std::fmin(m[2], m[3]));
  const float h = std::fmin(0.5f * sum, but_largest);
  const float step = h > 0 ? h : sum;  // where at most one is not zero
  const float end0 = std::fmin(m[0], step), end1 = end0 + std::fmin(m[1], step), end2 = end1 + std::fmin(m[2], step);
  const float unit = tsenor::detail::float_of_bits(random >> 9 | 0x3f800000u) - (1 - 1.f / 16777216);  // within (0, 1)
  const float point = unit * step;
  const bool zero = point < end0, three = point >= end2 - step, one = point < (zero ? end1 - step : end1);
  const std::uint32_t inner = one ? 1 : 2, inner_x = one ? x[1] : x[2];  // where only one of these two is kept
  const std::uint32_t first = three ? inner : 1, first_x = three ? inner_x : x[1];
  const std::uint32_t second = zero ? inner : 2, second_x = zero ? inner_x : x[2];
  const std::uint32_t magnitude = rounded(Tames ? h * scale : h, random, T{});
  return {kept_values(zero ? x[0] : first_x, three ? x[3] : second_x, magnitude),
          (zero ? 0 : first) | (three ? 3 : second) << 2};
}

// What a block of 256 threads takes: 128 tokens of 64 features, each thread four tokens of eight features. Reads are of
// 128 bytes a token, writes of 128 bytes a feature.
inline constexpr int mvue_tokens = 128, mvue_features = 64, mvue_threads = 256;
inline constexpr int mvue_across = mvue_features / 8;
inline constexpr std::int64_t most_mvue_tokens = std::int64_t(65535) * mvue_tokens;  // of a grid

struct alignas(16) four_words {
  std::uint32_t word[4];
};
// Copies that are one instruction, from and to memory of any type.
template <class Words>
TSENOR_HOST_DEVICE void copy_words(void* to, const void* from) {
  std::memcpy(__builtin_assume_aligned(to, sizeof(Words)), __builtin_assume_aligned(from, sizeof(Words)),
              sizeof(Words));
}
struct mvue_memory {
  four_words values[mvue_features][mvue_tokens / 16];
  std::uint32_t pairs[mvue_tokens / 4][mvue_across];  // of eight features, four bits each
};
// Where a feature's values of 16 tokens lie: threads that write or read together meet no bank twice.
TSENOR_HOST_DEVICE constexpr int values_at(int feature, int sixteen) { return sixteen ^ (feature >> 3); }

// A gradient `[tokens, features]` and its compressed estimate; of a block, where it begins.
struct mvue_problem {
  const unsigned char* gradient;
  std::int64_t row_bytes, tokens, features;
  unsigned char* to;
  random_state random;
};
struct mvue_block {
  std::int64_t token, feature;
};
// Draws from a thread's eight groups of four; the sum of all their magnitudes.
template <class T, bool Tames>
TSENOR_HOST_DEVICE float draw_eight(const mvue_problem& p, std::int64_t token, std::int64_t feature,
                                    mvue_memory& memory) {
  const std::uint64_t seed = p.random.seed_at ? std::uint64_t(*p.random.seed_at) : p.random.seed;
  const std::uint64_t offset = p.random.offset + (p.random.offset_at ? std::uint64_t(*p.random.offset_at) : 0);
  const std::uint64_t sequence =
      std::uint64_t(token >> 2) * std::uint64_t(p.features >> 3) + std::uint64_t(feature >> 3);
  four_words rows[4];
  for (int i = 0; i < 4; ++i) copy_words<four_words>(&rows[i], p.gradient + (token + i) * p.row_bytes + 2 * feature);
  const philox random[2] = {{seed, sequence, offset / 4}, {seed, sequence, offset / 4 + 1}};
  const int group = int(token >> 2) & (mvue_tokens / 4 - 1), across = int(feature >> 3) & (mvue_across - 1);
  std::uint32_t pairs = 0;
  float total = 0;
  for (int j = 0; j < 8; ++j) {
    std::uint32_t x[4];
    for (int i = 0; i < 4; ++i) x[i] = j % 2 ? rows[i].word[j / 2] & 0xffff0000u : rows[i].word[j / 2] << 16;
    const kept24 kept = draw<T, Tames>(x, random[j / 4].x[j % 4], total);
    memory.values[8 * across + j][values_at(8 * across, group / 4)].word[group % 4] = kept.values;
    pairs |= kept.pair << 4 * j;
  }
  memory.pairs[group][across] = pairs;
  return total;
}

// The same with groups whose sums are not finite: rare, so that it is not to take registers where there are none.
template <class T>
TSENOR_HOST_DEVICE __attribute__((noinline)) void draw_eight_tamed(const mvue_problem p, std::int64_t token,
                                                                   std::int64_t feature, mvue_memory& memory) {
  draw_eight<T, true>(p, token, feature, memory);
}

// A thread's part up to the barrier.
template <class T>
TSENOR_HOST_DEVICE void draw_part(const mvue_problem& p, const mvue_block& at, int thread, mvue_memory& memory) {
  const std::int64_t token = at.token + 4 * (thread >> 3), feature = at.feature + 8 * (thread & (mvue_across - 1));
  if (token >= p.tokens) return;
  if (!(draw_eight<T, false>(p, token, feature, memory) <= FLT_MAX)) draw_eight_tamed<T>(p, token, feature, memory);
}

// Four bytes of the metadata: of two features 8 apart, and of four groups; see byte_in_tile.
TSENOR_HOST_DEVICE inline std::uint32_t metadata_word(const mvue_memory& memory, int thread) {
  const int group_bit1 = thread & 1, nibble = 4 * (thread >> 1 & 7), sixteen = thread >> 4 & 3, tile = thread >> 6;
  std::uint32_t word = 0;
  for (int b = 0; b < 4; ++b) {
    const int group = tile * tile_groups + 4 * (b & 1) + 2 * group_bit1 + (b >> 1);
    const std::uint32_t low = memory.pairs[group][2 * sixteen] >> nibble & 15u,
                        high = memory.pairs[group][2 * sixteen + 1] >> nibble & 15u;
    word |= (low | high << 4) << 8 * b;
  }
  return word;
}

// A thread's part behind the barrier: 32 bytes of values, 4 of metadata.
TSENOR_HOST_DEVICE inline void store_part(const mvue_problem& p, const mvue_block& at, int thread,
                                          const mvue_memory& memory) {
  const int sixteen = thread & 7;
  if (at.token + 16 * sixteen < p.tokens)
    for (int k = 0; k < mvue_features * 8 / mvue_threads; ++k) {
      const int feature = mvue_threads / 8 * k + (thread >> 3);
      copy_words<four_words>(p.to + (at.feature + feature) * p.tokens + at.token + 16 * sixteen,
                             &memory.values[feature][values_at(feature, sixteen)]);
    }
  const std::int64_t group = at.token / 4 + (thread >> 6) * tile_groups;
  if (4 * group >= p.tokens) return;
  const std::uint32_t word = metadata_word(memory, thread);
  copy_words<std::uint32_t>(
      p.to + p.tokens * p.features + metadata_byte(at.feature, group, p.tokens / 4) + 4 * (thread & 63), &word);
}

template <class T>
constexpr bool check_mvue_type() {
  constexpr bool fits = tsenor::detail::is_weight<T> && sizeof(T) == 2;
  static_assert(fits,
                "tsenor: a 2:4 estimate is for 16-bit types: float16 or bfloat16, or CUDA's or the compiler's own");
  return fits;
}

template <class T>
mvue_problem problem_of(const matrix_view<const T>& g, void* compressed, const random_state& random) {
  const auto* const from = reinterpret_cast<const unsigned char*>(g.data);
  return {from, 2 * g.row_stride, g.rows, g.cols, static_cast<unsigned char*>(compressed), random};
}

template <class Stored>
void run_mvue(const mvue_problem& p) {
  for (std::int64_t token = 0; token < p.tokens; token += mvue_tokens)
    for (std::int64_t feature = 0; feature < p.features; feature += mvue_features) {
      mvue_memory memory;
      for (int thread = 0; thread < mvue_threads; ++thread) draw_part<Stored>(p, {token, feature}, thread, memory);
      for (int thread = 0; thread < mvue_threads; ++thread) store_part(p, {token, feature}, thread, memory);
    }
}

}  // namespace detail

/// Writes the compressed form (layout.hpp) of a 2:4 estimate of the gradient's transpose, `[features, tokens]`, on the
/// CPU: two of each four tokens. mvue.cuh has the same for the GPU, with the same bits.
///
/// \tparam T          float16 or bfloat16, or a type of the same layout
/// \param gradient    `[tokens, features]`, multiples of 64, no batch; rows begin at multiples of 16 bytes
/// \param compressed  compressed_size(tokens, features) bytes at a multiple of 16, disjoint from the gradient and from
///                    what `random` points to
/// \param random      which random numbers; see random_state
/// \return success, or what was wrong, and then nothing was written: invalid_shape, not_divisible, invalid_pointer,
///         overlapping_buffers, invalid_option
///
/// Exactly two are kept of every four, zeros where there are not two others. h is rounded up or down at random, so that
/// the mean is right to 2^-24 of h for what is drawn and 2^-17 of h for how it is rounded. Where a group holds NaN or
/// infinities, these are kept as they are: one and another entry, drawn from the rest; or two of them. So the product
/// is NaN or infinite where the dense one is. h beyond the largest number is infinite, as a sum would be.
/// Deterministic. One thread, one pass.
template <class T>
status compress_mvue(matrix_view<const T> gradient, void* compressed, random_state random) {
  if constexpr (detail::check_mvue_type<T>()) {
    if (const status s = tsenor::detail::check_gradient24(gradient, compressed, random, detail::most_mvue_tokens); !s)
      return s;
    detail::run_mvue<tsenor::detail::storage_t<T>>(detail::problem_of(gradient, compressed, random));
  }
  return {};
}

}  // namespace sparse24
}  // namespace tsenor
