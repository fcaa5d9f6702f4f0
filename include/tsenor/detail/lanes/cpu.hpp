// The CPU as a machine of lanes: a lane value is Width numbers in hardware vectors of TSENOR_VECTOR_LANES each (GCC vector
// extensions, understood by g++ and clang++). One tile at a time, so that what all lanes of a tile share is a plain scalar.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_CPU_LANES)
#define TSENOR_CPU_LANES

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tsenor/detail/lanes/pack.hpp"

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

// The halves of a and b that a transposition by blocks of H takes: lane i of the result is a[i] or, where i has bit H, b[i - H] (Upper
// false); a[i + H] or b[i].
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

template <int Width>
struct lanes {
  static constexpr int width = Width;
  static constexpr bool plain = false;
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

  // A tile of numbers, readable with a lane for each row or a lane for each column.
  template <class T>
  struct tile {
    alignas(64) T by_row[width][width];  // [column][row]: entry k of every row is contiguous
    alignas(64) T by_col[width][width];  // [row][column]

    TSENOR_FN void set(int row, int col, T x) { by_col[row][col] = x; }
    TSENOR_FN void set_row_entry(int k, const lane_value<T>& x) { copy(by_row[k], x); }
    TSENOR_FN void set_col_entry(int k, const lane_value<T>& x) { copy(by_col[k], x); }
    // Call once all entries are set, by rows (Rows: set_row_entry) or by columns (set_col_entry), before any is read.
    template <bool Rows>
    TSENOR_FN void seal() {
      const auto& from = Rows ? by_row : by_col;
      auto& to = Rows ? by_col : by_row;
      for (int a = 0; a < width; a += vector_lanes)
        for (int b = 0; b < width; b += vector_lanes) {
          using part = decltype(lane_value<T>::part[0] + 0);
          part t[vector_lanes];
          TSENOR_UNROLL for (int k = 0; k < vector_lanes; k++) std::memcpy(&t[k], from[a + k] + b, sizeof t[k]);
          transpose_block<vector_lanes / 2>(t, lane_sequence{});
          TSENOR_UNROLL for (int k = 0; k < vector_lanes; k++) std::memcpy(to[b + k] + a, &t[k], sizeof t[k]);
        }
    }
    // Entry k of each row, lane i: (i, k), or of each column, lane j: (k, j).
    template <bool Rows>
    TSENOR_FN lane_value<T> entry(int k) const {
      return load<lane_value<T>>(Rows ? by_row[k] : by_col[k]);
    }
    // The arcs of row x, entry x of each column, or those of column x.
    TSENOR_FN lane_value<T> arcs_of(fixed_bool<true>, int x) const { return entry<false>(x); }
    TSENOR_FN lane_value<T> arcs_of(fixed_bool<false>, int x) const { return entry<true>(x); }
    TSENOR_FN lane_value<T> row_entry(int k) const { return entry<true>(k); }
    TSENOR_FN lane_value<T> col_entry(int k) const { return entry<false>(k); }
    // What get(k, s) takes part s of entry(k) from.
    struct side {
      const T (&x)[width][width];
      TSENOR_FN auto get(int k, int s) const {
        decltype(lane_value<T>::part[0] + 0) r;
        std::memcpy(&r, x[k] + s * vector_lanes, sizeof r);
        return r;
      }
    };
    template <bool Rows>
    TSENOR_FN side entries() const {
      return {Rows ? by_row : by_col};
    }
    TSENOR_FN T element(int row, int col) const { return by_row[col][row]; }
  };
  template <class T>
  struct lane_array {
    alignas(64) T x[width];
    TSENOR_FN T& of(int lane) { return x[lane]; }
  };
  TSENOR_FN static index pack_of(const lane_array<std::int32_t>& x) { return load<index>(x.x); }
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
  // The rows of a tile, one a lane, to work on.
  struct working_rows {
    tile<float>& home;
    TSENOR_FN explicit working_rows(tile<float>& t) : home(t) {}
    TSENOR_FN real operator[](int k) const { return home.row_entry(k); }
    TSENOR_FN void set(int k, const real& x) { home.set_row_entry(k, x); }
  };

  tile<float>& importance;
  tile<float>& plan;
  tile<std::int32_t>& weights;
  TSENOR_FN explicit lanes(memory& m) : importance(m.importance), plan(m.plan), weights(m.weights) {}

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
    return load<lane_value<T>>(r.x);
  }

  // A row of the mask as bytes of 0 or 1.
  TSENOR_FN static bool stores_whole_rows(const std::uint8_t*) { return true; }
  TSENOR_FN static void store_whole_row(std::uint8_t* to, tile_set row) {
#if TSENOR_VECTOR_LANES >= 16
    if constexpr (width == 64) return _mm512_storeu_si512(to, _mm512_maskz_mov_epi8(row, _mm512_set1_epi8(1)));
    if constexpr (width == 32)
      return _mm256_storeu_si256((__m256i*)to, _mm256_maskz_mov_epi8(row, _mm256_set1_epi8(1)));
    if constexpr (width == 16) return _mm_storeu_si128((__m128i*)to, _mm_maskz_mov_epi8(row, _mm_set1_epi8(1)));
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
  TSENOR_FN static coarse_result coarse_midprice(const coarse_result& nth, const coarse_result& next) {
    coarse_result r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < coarse_parts; s++) {
      const coarse a = nth.part[s], b = next.part[s], price = ((a ^ b) >> 1) - (a | b), most = coarse{} + 0x3fff;
      r.part[s] = price < most ? price : most;
    }
    return r;
  }
  struct coarse_tile {
    alignas(64) std::int16_t x[width][width];
    TSENOR_FN coarse get(const lanes&, int k, int s) const {
      coarse r;
      std::memcpy(&r, x[k] + s * coarse_lanes, sizeof r);
      return r;
    }
  };
  // The rows or columns of l.weights >> shift, but not less than `least`.
  template <bool Rows>
  TSENOR_FN coarse_tile coarse_entries(int shift, int least) const {
    using wide = typename vector_of<std::int32_t, TSENOR_VECTOR_LANES>::type;
    using narrow = typename vector_of<std::int16_t, 2 * TSENOR_VECTOR_LANES>::type;
    coarse_tile r;
    const std::int32_t* from = (Rows ? weights.by_row : weights.by_col)[0];
    std::int16_t* to = r.x[0];
    for (int k = 0; k < width * width; k += 2 * TSENOR_VECTOR_LANES) {
      wide a, b;
      std::memcpy(&a, from + k, sizeof a);
      std::memcpy(&b, from + k + TSENOR_VECTOR_LANES, sizeof b);
      narrow x = both_narrowed(a >> shift, b >> shift);
      x = x > std::int16_t(least) ? x : narrow{} + std::int16_t(least);
      std::memcpy(to + k, &x, sizeof x);
    }
    return r;
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
  TSENOR_FN static tile_set ballot(const flag& f) {
    tile_set r = 0;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r |= tile_set(sign_bits(f.part[s])) << (s * vector_lanes);
    return r;
  }
  TSENOR_FN static bool any_tile(bool f) { return f; }
  template <class T, class Part, int P>
  TSENOR_FN static T tile_largest(const pack<T, Part, P>& x) {
    Part y = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < P; s++) y = y > x.part[s] ? y : x.part[s];
    if constexpr (sizeof(T) == 4) return top_of<T, vector_lanes / 2>(y);
    T r = y[0];
    for (int i = 1; i < part_lanes<T>; i++) r = r > y[i] ? r : y[i];
    return r;
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
  // Lane i: (i & H ? b : a) of lane i and of lane i ^ H, combined. log2(width) folds of `width` values leave in lane k the
  // combination of value k over all lanes.
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

  // ---- lane by lane ----
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
  TSENOR_FN static int first(tile_set x) { return x ? __builtin_ctzll(x) : 0; }

 private:
  // The numbers of a, then those of b, in 16 bits; what has more becomes the nearest that has not.
  template <class Wide>
  TSENOR_FN static auto both_narrowed(Wide a, Wide b) {
    using narrow = typename vector_of<std::int16_t, 2 * TSENOR_VECTOR_LANES>::type;
#if TSENOR_VECTOR_LANES == 16
    typedef long long quarters __attribute__((vector_size(64)));
    const quarters x = (quarters)_mm512_packs_epi32((__m512i)a, (__m512i)b);  // of each 128 bits
    return (narrow)__builtin_shufflevector(x, x, 0, 2, 4, 6, 1, 3, 5, 7);
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
  // Transposes a matrix of 2 H x 2 H bits, its rows in the lanes: the halves of 2 H x 2 H, then of H x H, ... change sides.
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
