// The CPU as a machine of lanes: a lane value is Width numbers in hardware vectors of TSENOR_VECTOR_LANES each (GCC
// vector extensions, understood by g++ and clang++). One tile at a time, so that what all lanes of a tile share is a
// plain scalar.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tsenor::detail::TSENOR_MACHINE {

template <int Width>
struct lanes : lane_values<Width> {
  using values = lane_values<Width>;
  using typename values::bits, typename values::flag, typename values::index, typename values::index_part;
  using typename values::lane_sequence, typename values::real, typename values::tile_set, typename values::word_part;
  using values::copy, values::parts, values::vector_lanes, values::width;
  template <class T>
  using lane_value = typename values::template lane_value<T>;
  template <class T>
  using tile = cached_tile<values, T>;
  static constexpr bool whole = false, exactly = false, plain = false, masks_only = false;
  template <class T>
  struct lane_array {
    alignas(64) T x[width];
    TSENOR_FN T& of(int lane) { return x[lane]; }
  };
  TSENOR_FN static index pack_of(const lane_array<std::int32_t>& x) { return values::template load<index>(x.x); }
  struct memory {
    union {
      tile<float> importance;
      tile<std::int32_t> weights;  // of the optimal method, in place of the importances
    };
    tile<float> plan;  // of the published method
  };
  template <class T>
  struct shared_values {
    alignas(64) T x[width];
    TSENOR_FN T operator[](int k) const { return x[k]; }
  };
  // What the dykstra stage works on, in the first-level cache.
  using scaled_tile = scaled_rows<lanes>;

  using general = lanes;

  memory& mine;
  tile<float>& importance;
  tile<float>& plan;
  tile<std::int32_t>& weights;
  TSENOR_FN explicit lanes(memory& m) : mine(m), importance(m.importance), plan(m.plan), weights(m.weights) {}
  TSENOR_FN void restore_importance() {}

  TSENOR_FN static index lane() {
    index r;
    for (int s = 0; s < parts; s++)
      for (int i = 0; i < vector_lanes; i++) r.part[s][i] = s * vector_lanes + i;
    return r;
  }
  // Calls f(lane) for each lane that this thread stands for.
  template <class F>
  TSENOR_FN static void for_each_lane(const F& f) {
    for (int k = 0; k < width; k++) f(k);
  }

  // f(lane) in each lane.
  template <class T, class F>
  TSENOR_FN static lane_value<T> lane_by_lane(const F& f) {
    lane_array<T> r;
    for (int k = 0; k < width; k++) r.x[k] = f(k);
    return values::template load<lane_value<T>>(r.x);
  }

  // A row of the mask as bytes of 0 or 1.
  TSENOR_FN static bool stores_whole_rows(const std::uint8_t*) { return true; }
  TSENOR_FN static void store_whole_row(std::uint8_t* to, tile_set row) {
#if TSENOR_VECTOR_LANES >= 16
    void* const words = to;
    if constexpr (width == 64) return _mm512_storeu_si512(words, _mm512_maskz_mov_epi8(row, _mm512_set1_epi8(1)));
    if constexpr (width == 32)
      return _mm256_storeu_si256(static_cast<__m256i*>(words), _mm256_maskz_mov_epi8(row, _mm256_set1_epi8(1)));
    if constexpr (width == 16)
      return _mm_storeu_si128(static_cast<__m128i*>(words), _mm_maskz_mov_epi8(row, _mm_set1_epi8(1)));
#endif
    for (int k = 0; k < width; k += 8) {
      const std::uint64_t eight = (row >> k & 255u) * 0x0101010101010101u & 0x8040201008040201u;
      const std::uint64_t bytes = (eight + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
      std::memcpy(to + k, &bytes, sizeof bytes);
    }
  }

  // The value of lane k, one of those that this thread stands for.
  template <class T, class Part, int P>
  TSENOR_FN static T own(const pack<T, Part, P>& x, int k) {
    return at(x, k);
  }

  TSENOR_FN static tile_set own(const bits& x, int k) { return at(x, k); }

  // ---- the lower resolution: 16-bit numbers in vectors of their own ----
  static constexpr int coarse_lanes = width < 2 * TSENOR_VECTOR_LANES ? width : 2 * TSENOR_VECTOR_LANES;
  static constexpr int coarse_count = width, coarse_parts = width / coarse_lanes;
  using coarse = typename vector_of<std::int16_t, coarse_lanes>::type;
  using coarse_rank = coarse;
  using coarse_result = pack<std::int16_t, coarse, coarse_parts>;
  using half_part = typename vector_of<std::int16_t, vector_lanes>::type;
  TSENOR_FN static index widen(const coarse_result& x) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      half_part h;
      std::memcpy(&h, reinterpret_cast<const char*>(&x) + s * sizeof h, sizeof h);
      r.part[s] = __builtin_convertvector(h, index_part);
    }
    return r;
  }
  // Of numbers in the range of 16 bits.
  TSENOR_FN static coarse_result narrow(const index& x) {
    coarse_result r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      const half_part h = __builtin_convertvector(x.part[s], half_part);
      std::memcpy(reinterpret_cast<char*>(&r) + s * sizeof h, &h, sizeof h);
    }
    return r;
  }
  // -floor((nth + next + 1) / 2), or what is past all prices for more, so that differences stay within 16 bits.
  TSENOR_FN static coarse coarse_midprice(const coarse& nth, const coarse& next) {
    const coarse price = ((nth ^ next) >> 1) - (nth | next), most = coarse{} + 0x3fff;
    return price < most ? price : most;
  }
  struct coarse_tile {
    alignas(64) std::int16_t x[width][width];
    TSENOR_FN coarse get(int k, int s) const {
      coarse r;
      std::memcpy(&r, x[k] + s * coarse_lanes, sizeof r);
      return r;
    }
  };
  static constexpr bool holds_column = false;  // l.weights are as near
  struct held_column {};
  struct coarse_lines {
    coarse_tile rows, cols;
  };
  // l.weights >> shift, but not less than 0 and not more than `most`.
  TSENOR_FN coarse_lines coarse_entries(const held_column&, int shift, int most) const {
    coarse_lines r;
    shift_entries(weights.by_row[0], shift, most, r.rows.x[0]);
    shift_entries(weights.by_col[0], shift, most, r.cols.x[0]);
    return r;
  }
  TSENOR_FN static void shift_entries(const std::int32_t* from, int shift, int most, std::int16_t* to) {
    using wide = typename vector_of<std::int32_t, TSENOR_VECTOR_LANES>::type;
    using narrow = typename vector_of<std::int16_t, 2 * TSENOR_VECTOR_LANES>::type;
    const narrow lowest = {}, highest = narrow{} + std::int16_t(most);
    for (int k = 0; k < width * width; k += 2 * TSENOR_VECTOR_LANES) {
      wide a, b;
      std::memcpy(&a, from + k, sizeof a);
      std::memcpy(&b, from + k + TSENOR_VECTOR_LANES, sizeof b);
      narrow x = both_narrowed(a >> shift, b >> shift);
      const narrow more = x > lowest;  // by its name: nvcc 11 takes no other vector for a condition
      x = more ? x : lowest;
      const narrow less = x < highest;
      x = less ? x : highest;
      std::memcpy(to + k, &x, sizeof x);
    }
  }
  struct shared_coarse {
    const coarse_result& x;
    TSENOR_FN std::int16_t operator[](int k) const { return element<std::int16_t>(x, k); }
  };
  TSENOR_FN static shared_coarse share_coarse(const coarse_result& value) { return {value}; }

  // ---- across the lanes of a tile ----
  template <class T, class Part>
  TSENOR_FN static shared_values<T> share(const pack<T, Part, parts>& x) {
    shared_values<T> r;
    copy(r.x, x);
    asm("" : "+m"(r.x));  // in memory, to be read from there: else g++ takes vectors apart in registers
    return r;
  }
  template <class T, class Part, int P>
  TSENOR_FN static T at(const pack<T, Part, P>& x, int k) {
    return element<T>(x, k);
  }
  TSENOR_FN static tile_set at(const bits& x, int k) {
    tile_set r = element<std::uint32_t>(x.word[0], k);
    if constexpr (width == 64) r |= tile_set(element<std::uint32_t>(x.word[1], k)) << 32;
    return r;
  }
  TSENOR_FN static int count(const flag& f) { return __builtin_popcountll(ballot(f)); }
  using values::count;
  TSENOR_FN static tile_set ballot(const flag& f) {
    tile_set r = 0;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r |= tile_set(sign_bits(f.part[s])) << (s * vector_lanes);
    return r;
  }
  // Of the next lane, the first m of them in a ring.
  TSENOR_FN static index from_next(const index& x, int m) {
    alignas(64) std::int32_t r[width + 1];
    copy(r, x);
    r[m] = r[0];
    return values::template load<index>(r + 1);
  }
  TSENOR_FN static void barrier() {}
  TSENOR_FN static bool any_tile(bool f) { return f; }
  TSENOR_FN static bool any(const flag& f) { return ballot(f) != 0; }
  template <class T, class Part, int P>
  TSENOR_FN static T tile_largest(const pack<T, Part, P>& x) {
    Part y = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < P; s++) y = y > x.part[s] ? y : x.part[s];
    if constexpr (sizeof(T) == 4) return top_of<T, vector_lanes / 2>(y);
    T r = y[0];
    for (int i = 1; i < values::template part_lanes<T>; i++) r = r > y[i] ? r : y[i];
    return r;
  }
  TSENOR_FN static two_ints tile_largest_both(const index& a, const index& b) {
    return {tile_largest(a), tile_largest(b)};
  }
  TSENOR_FN static int tile_smallest(const index& x) {
    index_part y = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) y = y < x.part[s] ? y : x.part[s];
    return -top_of<std::int32_t, vector_lanes / 2>(-y);
  }
  template <class T>
  TSENOR_FN static T tile_sum(T of_this_thread) {
    return of_this_thread;
  }
  template <class T>
  TSENOR_FN static T tile_max(T of_this_thread) {
    return of_this_thread;
  }
  // Lane i: (i & H ? b : a) of lane i and of lane i ^ H, combined. log2(width) folds of `width` values leave in lane k
  // the combination of value k over all lanes.
  template <int H, class Combine>
  TSENOR_FN static real fold(const real& a, const real& b, const Combine& combine) {
    real r;
    if constexpr (H >= vector_lanes) {
      constexpr int step = H / vector_lanes;
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] =
          s & step ? combine(b.part[s], b.part[s ^ step]) : combine(a.part[s], a.part[s ^ step]);
    } else {
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] =
          combine(weave<H, false>(a.part[s], b.part[s], lane_sequence{}),
                  weave<H, true>(a.part[s], b.part[s], lane_sequence{}));
    }
    return r;
  }
  TSENOR_FN static int first(tile_set x) { return x ? __builtin_ctzll(x) : 0; }
  TSENOR_FN static int last(tile_set x) { return x ? 63 - __builtin_clzll(x) : 0; }

 private:
  template <class T, int H, class Part>
  TSENOR_FN static T top_of(Part x) {
    if constexpr (H == 0) {
      return x[0];
    } else {
      const Part y = weave<H, true>(x, x, lane_sequence{});
      return top_of<T, H / 2>(x > y ? x : y);
    }
  }
  template <class T, class Pack>
  TSENOR_FN static T element(const Pack& x, int k) {
    T r;
    std::memcpy(&r, reinterpret_cast<const char*>(&x) + k * sizeof r, sizeof r);
    return r;
  }
  TSENOR_FN static std::uint32_t sign_bits(index_part x) {
#if TSENOR_VECTOR_LANES >= 16
    if constexpr (vector_lanes == 16) return _mm512_movepi32_mask((__m512i)x);
#endif
#if TSENOR_VECTOR_LANES >= 8
    if constexpr (vector_lanes == 8) return _mm256_movemask_ps((__m256)x);
#endif
#if defined(__SSE2__)
    if constexpr (vector_lanes == 4) return _mm_movemask_ps((__m128)x);
#endif
    std::uint32_t r = 0;
    for (int i = 0; i < vector_lanes; i++) r |= std::uint32_t(x[i] < 0) << i;
    return r;
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
