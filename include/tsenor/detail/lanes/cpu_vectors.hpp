// Hardware vectors (GCC vector extensions, understood by g++ and clang++) and their permutations.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tsenor::detail::TSENOR_MACHINE {

template <class T, int N>
struct vector_of {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};

// The shuffle of a and b that takes a[i] where i has no bit H and From is 0, and so on: lane i of the result is
// (i & H ? b : a)[From ? i ^ H : i].
template <int H, bool Swapped, class V, int... I>
TSENOR_FN V weave(V a, V b, [[maybe_unused]] std::integer_sequence<int, I...> lanes) {
  constexpr int count = int(sizeof...(I));
#if defined(__clang__)
  return __builtin_shufflevector(a, b, ((I & H ? count : 0) + (Swapped ? I ^ H : I))...);
#else
  typename vector_of<std::int32_t, count>::type from;
  for (int i = 0; i < count; i++) from[i] = (i & H ? count : 0) + (Swapped ? i ^ H : i);
  return __builtin_shuffle(a, b, from);
#endif
}

// The halves of a and b that a transposition by blocks of H takes: lane i of the result is a[i] or, where i has bit H,
// b[i - H] (Upper false); a[i + H] or b[i].
template <int H, bool Upper, class V, int... I>
TSENOR_FN V block_step(V a, V b, [[maybe_unused]] std::integer_sequence<int, I...> lanes) {
  constexpr int count = int(sizeof...(I));
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (Upper ? (I & H ? count + I : I + H) : (I & H ? count + I - H : I))...);
#else
  typename vector_of<std::int32_t, count>::type from;
  for (int i = 0; i < count; i++) from[i] = Upper ? (i & H ? count + i : i + H) : (i & H ? count + i - H : i);
  return __builtin_shuffle(a, b, from);
#endif
}
// Transposes as many vectors as a vector has numbers.
template <int H, class V, class Lanes>
TSENOR_FN void transpose_block(V* t, Lanes lanes) {
  if constexpr (H > 0) {
    TSENOR_UNROLL for (int k = 0; k < int(sizeof(V) / 4); k++) {
      if (k & H) continue;
      const V a = t[k], b = t[k + H];
      t[k] = block_step<H, false>(a, b, lanes);
      t[k + H] = block_step<H, true>(a, b, lanes);
    }
    transpose_block<H / 2>(t, lanes);
  }
}

// The numbers of a, then those of b, in 16 bits; what has more becomes the nearest that has not.
template <class Wide>
TSENOR_FN auto both_narrowed(Wide a, Wide b) {
  using narrow = typename vector_of<std::int16_t, 2 * TSENOR_VECTOR_LANES>::type;
#if TSENOR_VECTOR_LANES == 16
  const __m512i in_order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);  // of what is packed in each 128 bits
  // Of its two forms the one that g++ 12 has no warning for.
  return (narrow)_mm512_maskz_permutexvar_epi64(0xff, in_order, _mm512_packs_epi32((__m512i)a, (__m512i)b));
#elif TSENOR_VECTOR_LANES == 8
  return (narrow)_mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)a, (__m256i)b), 0xd8);
#elif defined(__SSE2__)
  return (narrow)_mm_packs_epi32((__m128i)a, (__m128i)b);
#else
  narrow r;
  const auto nearest = [](std::int32_t x) { return std::int16_t(x > -0x8000 ? x < 0x7fff ? x : 0x7fff : -0x8000); };
  for (int k = 0; k < TSENOR_VECTOR_LANES; k++) r[k] = nearest(a[k]), r[k + TSENOR_VECTOR_LANES] = nearest(b[k]);
  return r;
#endif
}

// Tiles in lanes of their own: as many as a hardware vector has.
struct tile_lanes {
  static constexpr int count = TSENOR_VECTOR_LANES;
  using real = typename vector_of<float, count>::type;
  using bits = typename vector_of<std::uint32_t, count>::type;
  template <class V, class T>
  TSENOR_FN static void set(V& x, int k, T value) {
    x[k] = value;
  }
  template <class V>
  TSENOR_FN static auto get(const V& x, int k) {
    return x[k];
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
