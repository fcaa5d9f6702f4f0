// What a lane value is on the CPU, and arithmetic lane by lane.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>
#include <cstring>
#include <utility>

namespace tsenor::detail::TSENOR_MACHINE {

template <int Width>
struct lane_values {
  static constexpr int width = Width;
  static constexpr bool one_tile = true, one_at_a_time = true;
  static constexpr int vector_lanes = width < TSENOR_VECTOR_LANES ? width : TSENOR_VECTOR_LANES;
  static constexpr int parts = width / vector_lanes;
  using real_part = typename vector_of<float, vector_lanes>::type;
  using index_part = typename vector_of<std::int32_t, vector_lanes>::type;
  using word_part = typename vector_of<std::uint32_t, vector_lanes>::type;
  using real = pack<float, real_part, parts>;
  using index = pack<std::int32_t, index_part, parts>;
  using flag = flags<index_part, parts>;
  using bits = lane_bits<word_part, parts, width / 32 ? width / 32 : 1>;
  using tile_set = typename bits::tile_set;
  static constexpr bool holds_tile = true;  // in the first-level cache
  using lane_sequence = std::make_integer_sequence<int, vector_lanes>;

  // In hardware vectors: twice as many of double.
  template <class T>
  static constexpr int part_lanes = sizeof(T) == 8 && vector_lanes == TSENOR_VECTOR_LANES ? vector_lanes / 2
                                                                                          : vector_lanes;
  template <class T>
  using lane_value = pack<T, typename vector_of<T, part_lanes<T>>::type, width / part_lanes<T>>;

  template <class Pack, class T>
  TSENOR_FN static Pack load(const T* x) {
    Pack r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < int(sizeof r.part / sizeof r.part[0]); s++)
        std::memcpy(&r.part[s], x + s * (sizeof r.part[0] / sizeof *x), sizeof r.part[s]);
    return r;
  }
  // Part by part: of a larger copy g++ makes 16-byte moves, which loads of whole vectors then have to wait for.
  template <class T, class Part, int P>
  TSENOR_FN static void copy(T* to, const pack<T, Part, P>& x) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++)
        std::memcpy(to + s * (sizeof(Part) / sizeof(T)), &x.part[s], sizeof x.part[s]);
  }

  // floor((a + b) / 2)
  template <class T, class Part, int P>
  TSENOR_FN static pack<T, Part, P> midpoint(const pack<T, Part, P>& a, const pack<T, Part, P>& b) {
    pack<T, Part, P> r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = (a.part[s] + b.part[s]) >> 1;
    return r;
  }
  // Of numbers in the range of an int.
  TSENOR_FN static index truncated(const real& x) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __builtin_convertvector(x.part[s], index_part);
    return r;
  }
  // The nearest real.
  TSENOR_FN static real real_of(const index& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __builtin_convertvector(x.part[s], real_part);
    return r;
  }
  // 2^x within 3e-7 relative, x clamped to [-64, 64].
  TSENOR_FN static real exp2(const real& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      const real_part zero = {}, least = zero - 64.f, most = zero + 64.f;
      real_part y = x.part[s] < most ? x.part[s] : most;
      y = y > least ? y : least;
      const index_part whole = __builtin_convertvector(y + 64.5f, index_part) - 64;  // the nearest integer
      const real_part t = y - __builtin_convertvector(whole, real_part);             // in [-1/2, 1/2]
      const real_part p =
          1.f + t * (0.69314698f + t * (0.24022242f + t * (0.055507338f + t * (0.0096715127f + t * 0.0013264726f))));
      r.part[s] = (real_part)((index_part)p + (whole << 23));
    }
    return r;
  }
  // min(a * b, 1)
  TSENOR_FN static real capped_product(const real& a, const real& b) { return smallest(a * b, real(1.f)); }
  TSENOR_FN static real quotient(const real& a, const real& b) { return a / b; }
  // log2 of a positive normal number, within 3e-7 absolute.
  TSENOR_FN static real log2(const real& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      const index_part b = (index_part)x.part[s];
      const index_part whole = (b - 0x3f3504f3) >> 23;  // so that the mantissa is in [1/sqrt 2, sqrt 2)
      const real_part m = (real_part)(b - (whole << 23));
      const real_part z = (m - 1.f) / (m + 1.f), q = z * z;  // log2 m = (2 / ln 2) atanh z
      r.part[s] = __builtin_convertvector(whole, real_part) +
                  z * (2.8853900f + q * (0.96179669f + q * (0.57707802f + q * (0.41219859f + q * 0.32059890f))));
    }
    return r;
  }
  TSENOR_FN static index count(const bits& x) {
    index r = 0;
    TSENOR_UNROLL_PARTS for (auto& word : x.word) TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      word_part y = word.part[s];
      y -= y >> 1 & 0x55555555u;
      y = (y & 0x33333333u) + (y >> 2 & 0x33333333u);
      y = (y + (y >> 4)) & 0x0f0f0f0fu;
      y += y >> 8;
      r.part[s] += (index_part)((y + (y >> 16)) & 63u);
    }
    return r;
  }
  TSENOR_FN static bits transpose(const bits& x) {
    bits r;
    for (int h = 0; h < blocks; h++)
      for (int v = 0; v < blocks; v++) {
        word_part t[block_parts];
        for (int s = 0; s < block_parts; s++) t[s] = x.word[v].part[h * block_parts + s];
        transpose_bits<width / blocks / 2>(t);
        for (int s = 0; s < block_parts; s++) r.word[h].part[v * block_parts + s] = t[s];
      }
    return r;
  }

 private:
  // Transposes a matrix of 2 H x 2 H bits, its rows in the lanes: the halves of 2 H x 2 H, then of H x H, ... change
  // sides.
  static constexpr int blocks = width == 64 ? 2 : 1, block_parts = parts / blocks;
  template <int H>
  TSENOR_FN static void transpose_bits(word_part* t) {
    if constexpr (H > 0) {
      constexpr std::uint32_t low = H == 16  ? 0x0000ffffu
                                    : H == 8 ? 0x00ff00ffu
                                    : H == 4 ? 0x0f0f0f0fu
                                    : H == 2 ? 0x33333333u
                                             : 0x55555555u;
      if constexpr (H >= vector_lanes) {
        constexpr int step = H / vector_lanes;
        TSENOR_UNROLL_PARTS for (int s = 0; s < block_parts; s++) {
          if (s & step) continue;
          const word_part a = t[s], b = t[s + step];
          t[s] = (a & low) | (b << H & ~low);
          t[s + step] = (a >> H & low) | (b & ~low);
        }
      } else {
        index_part upper;
        for (int i = 0; i < vector_lanes; i++) upper[i] = i & H ? -1 : 0;
        const word_part keep = upper ? word_part{} + ~low : word_part{} + low;
        TSENOR_UNROLL_PARTS for (int s = 0; s < block_parts; s++) {
          const word_part y = weave<H, true>(t[s], t[s], lane_sequence{});
          t[s] = (t[s] & keep) | ((upper ? y >> H : y << H) & ~keep);
        }
      }
      transpose_bits<H / 2>(t);
    }
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
