// The GPU as a machine of lanes: a lane value is a register of a thread (two where Width = 64: lanes i and i + 32). A tile
// takes Width lanes, so 32 / Width tiles share a warp. Collectives are executed by all lanes of a warp together: they stand
// only where every tile of the warp passes, never under a condition on one tile's own values.
#if defined(__CUDACC__) && !defined(TSENOR_FN)
#define TSENOR_FN __device__ __forceinline__  // compiled alone
#endif
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_CUDA_LANES)
#define TSENOR_CUDA_LANES

#include <cstdint>
#include <type_traits>

#include "tsenor/detail/lanes/pack.hpp"
#include "tsenor/detail/lanes/scaled_patches.cuh"
#include "tsenor/detail/lanes/scaled_rows.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// Two 16-bit numbers in a register. Whole registers are permuted throughout: of shifts and conversions to 16 bits the compiler
// makes moves of halves.
struct pair16 {
  std::uint32_t x;
};
TSENOR_FN pair16 pair_of(int low, int high) { return {__byte_perm(std::uint32_t(low), std::uint32_t(high), 0x5410)}; }
TSENOR_FN pair16 swapped(const pair16& a) { return {__byte_perm(a.x, a.x, 0x1032)}; }
TSENOR_FN int low_half(const pair16& a) { return std::int32_t(__byte_perm(a.x, 0u, 0x1044)) >> 16; }
TSENOR_FN int high_half(const pair16& a) { return std::int32_t(a.x) >> 16; }
TSENOR_FN pair16 lower(const pair16& a, const pair16& b) { return {__vmins2(a.x, b.x)}; }
TSENOR_FN pair16 upper(const pair16& a, const pair16& b) { return {__vmaxs2(a.x, b.x)}; }
TSENOR_FN pair16 operator+(const pair16& a, const pair16& b) { return {__vadd2(a.x, b.x)}; }

// Tiles in lanes of their own: one a thread.
struct tile_lanes {
  static constexpr int count = 1;
  using real = float;
  using bits = std::uint32_t;
  template <class T>
  TSENOR_FN static void set(T& x, int, T value) {
    x = value;
  }
  template <class T>
  TSENOR_FN static T get(const T& x, int) {
    return x;
  }
};

// What a kernel's lanes are for. Plain: exactly n, of tiles that are all whole and as wide as the lanes.
enum class work { published, optimal, optimal_plain };

template <int Width, work For>
struct lanes {
  static constexpr int width = Width;
  static constexpr bool plain = For == work::optimal_plain;
  static constexpr int parts = width > 32 ? width / 32 : 1;
  static constexpr int group = width > 32 ? 32 : width;  // threads a tile
  static constexpr int tiles_per_warp = 32 / group;
  static constexpr bool one_at_a_time = false;
  static constexpr bool one_tile =
      tiles_per_warp == 1;                        // what is the same for a tile is the same for all that run together
  static constexpr bool holds_tile = parts == 1;  // a row a lane, in registers
  static constexpr unsigned warp = 0xffffffffu;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  static constexpr bool reduces = false;
#else
  static constexpr bool reduces = group == 32;  // integers over all lanes in one instruction
#endif
  using real = pack<float, float, parts>;
  using index = pack<std::int32_t, std::int32_t, parts>;
  using flag = flags<bool, parts>;
  using bits = lane_bits<std::uint32_t, parts, parts>;
  using tile_set = typename bits::tile_set;

  template <class T>
  using lane_value = pack<T, T, parts>;

  template <class T>
  struct lane_array {
    T x[parts];
    TSENOR_FN T& of(int lane) { return x[parts == 1 ? 0 : lane >> 5]; }
  };

  TSENOR_FN static index pack_of(const lane_array<std::int32_t>& x) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = x.x[s];
    return r;
  }

  // A tile of numbers in shared memory. The odd stride lets 32 lanes read rows or columns without a bank conflict.
  template <class T>
  struct tile {
    T* x;
    TSENOR_FN void set(int row, int col, T value) { x[row * (width + 1) + col] = value; }
    TSENOR_FN void set_row_entry(int k, const lane_value<T>& value) {
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) set(my_lane() + 32 * s, k, value.part[s]);
    }
    TSENOR_FN void set_col_entry(int k, const lane_value<T>& value) {
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) set(k, my_lane() + 32 * s, value.part[s]);
    }
    // Call once all entries are set, by rows (Rows) or by columns, before any is read.
    template <bool Rows>
    TSENOR_FN void seal() {
      __syncwarp();
    }
    // Entry k of each row or column.
    template <bool Rows>
    TSENOR_FN lane_value<T> entry(int k) const {
      lane_value<T> r;
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = entry_part<Rows>(k, s);
      return r;
    }
    // The arcs of row x, entry x of each column, or those of column x.
    TSENOR_FN lane_value<T> arcs_of(fixed_bool<true>, int x) const { return entry<false>(x); }
    TSENOR_FN lane_value<T> arcs_of(fixed_bool<false>, int x) const { return entry<true>(x); }
    TSENOR_FN lane_value<T> arcs_of(bool of_row, int x) const {
      lane_value<T> r;
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
        const int me = my_lane() + 32 * s;
        r.part[s] = element(of_row ? x : me, of_row ? me : x);
      }
      return r;
    }
    TSENOR_FN lane_value<T> row_entry(int k) const { return entry<true>(k); }
    TSENOR_FN lane_value<T> col_entry(int k) const { return entry<false>(k); }
    // Part s of entry(k).
    template <bool Rows>
    TSENOR_FN T entry_part(int k, int s) const {
      return Rows ? element(my_lane() + 32 * s, k) : element(k, my_lane() + 32 * s);
    }
    // What get(k, s) takes part s of entry(k) from.
    template <bool Rows>
    struct side {
      const tile& home;
      TSENOR_FN T get(int k, int s) const { return home.template entry_part<Rows>(k, s); }
    };
    template <bool Rows>
    TSENOR_FN side<Rows> entries() const {
      return {*this};
    }
    TSENOR_FN T element(int row, int col) const { return x[row * (width + 1) + col]; }
  };
  static constexpr int tile_size = tiles_per_warp * width * (width + 1);
  struct alignas(16) memory {  // of one warp
    float shared[2][tiles_per_warp * width];
    std::int32_t shared_index[2][tiles_per_warp * width];
    union {
      float importance[tile_size];
      std::int32_t weights[tile_size];  // of the optimal method, in place of the importances
    };
    float plan[For == work::published ? tile_size : 1];
  };
  template <class T>
  struct shared_values {
    T x[width];
    TSENOR_FN T operator[](int k) const { return x[k]; }
  };
  // What the dykstra stage works on: patches in registers, or rows in the tile itself.
  using scaled_tile = std::conditional_t<parts == 1, scaled_patches<lanes>, scaled_rows<lanes>>;

  tile<float> importance, plan;
  tile<std::int32_t> weights;
  memory& mine;
  int slot = 0;
  TSENOR_FN explicit lanes(memory& m)
      : importance{m.importance + first_lane() * (width + 1)},
        plan{m.plan + (For == work::published ? first_lane() * (width + 1) : 0)},
        weights{m.weights + first_lane() * (width + 1)},
        mine(m) {}

  TSENOR_FN static int my_lane() { return int(threadIdx.x) & (group - 1); }
  TSENOR_FN static int first_lane() { return parts == 1 ? int(threadIdx.x) & 31 & ~(group - 1) : 0; }
  TSENOR_FN static index lane() {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = my_lane() + 32 * s;
    return r;
  }
  template <class F>
  TSENOR_FN static void for_each_lane(const F& f) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) f(my_lane() + 32 * s);
  }

  // f(lane) in each lane.
  template <class T, class F>
  TSENOR_FN static lane_value<T> lane_by_lane(const F& f) {
    lane_value<T> r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = f(my_lane() + 32 * s);
    return r;
  }

  // A row of the mask as bytes of 0 or 1, in whole words, where they lie on their boundaries.
  using row_word = std::conditional_t<width == 8, uint2, uint4>;
  TSENOR_FN static bool stores_whole_rows(const std::uint8_t* to) {
    return reinterpret_cast<std::uintptr_t>(to) % sizeof(row_word) == 0;
  }
  TSENOR_FN static void store_whole_row(std::uint8_t* to, tile_set row) {
    const auto four = [&](int k) { return bytes_of_four(std::uint32_t(row >> k)); };
    TSENOR_UNROLL for (int k = 0; k < width; k += int(sizeof(row_word))) {
      row_word x;
      if constexpr (width == 8)
        x = {four(k), four(k + 4)};
      else
        x = {four(k), four(k + 4), four(k + 8), four(k + 12)};
      *reinterpret_cast<row_word*>(to + k) = x;
    }
  }

  // The value of lane k, one of those that this thread stands for.
  template <class T, class Part>
  TSENOR_FN static T own(const pack<T, Part, parts>& x, int k) {
    return part_of(x, k);
  }

  TSENOR_FN static tile_set own(const bits& x, int k) {
    tile_set r = part_of(x.word[0], k);
    if constexpr (parts == 2) r |= tile_set(part_of(x.word[1], k)) << 32;
    return r;
  }

  // ---- across the lanes of a tile ----
  // Two slots in turn: a lane can be one barrier ahead of another, not two.
  TSENOR_FN shared_values<float> share(const real& value) {
    slot ^= 1;
    return share<float, float4>(mine.shared[slot] + first_lane(), value);
  }
  TSENOR_FN shared_values<std::int32_t> share(const index& value) {
    slot ^= 1;
    return share<std::int32_t, int4>(mine.shared_index[slot] + first_lane(), value);
  }
  // ---- the lower resolution: entries k and k + width / 2 in pairs ----
  using coarse = pair16;
  using coarse_result = index;
  static constexpr int coarse_count = width / 2, coarse_parts = parts;
  TSENOR_FN static index widen(const coarse_result& x) { return x; }
  TSENOR_FN static coarse_result narrow(const index& x) { return x; }
  TSENOR_FN static coarse_result coarse_midprice(const coarse_result& nth, const coarse_result& next) {
    return index(0) - midpoint(nth, next + index(1));
  }

  // Rows or columns; in registers where they fit, else made on demand.
  template <bool Rows>
  struct coarse_tile {
    coarse x[holds_tile ? coarse_count : 1];
    int shift, least;
    TSENOR_FN coarse_tile(const lanes& l, int shift_, int least_) : shift(shift_), least(least_) {
      if constexpr (holds_tile) {
        TSENOR_UNROLL for (int k = 0; k < coarse_count; k++) x[k] = make(l, k, 0);
      }
    }
    TSENOR_FN coarse get(const lanes& l, int k, int s) const {
      if constexpr (holds_tile)
        return x[k];
      else
        return make(l, k, s);
    }

   private:
    TSENOR_FN coarse make(const lanes& l, int k, int s) const {
      const int a = l.weights.template entry_part<Rows>(k, s),
                b = l.weights.template entry_part<Rows>(k + coarse_count, s);
      if constexpr (plain)  // neither is negative
        return {std::uint32_t(a) >> shift | (std::uint32_t(b) << (16 - shift) & 0xffff0000u)};
      else
        return pair_of(a >> shift > least ? a >> shift : least, b >> shift > least ? b >> shift : least);
    }
  };
  // The rows or columns of l.weights >> shift, but not less than `least`.
  template <bool Rows>
  TSENOR_FN coarse_tile<Rows> coarse_entries(int shift, int least) const {
    return coarse_tile<Rows>(*this, shift, least);
  }
  struct shared_pairs {
    pair16 x[coarse_count];
    TSENOR_FN pair16 operator[](int k) const { return x[k]; }
  };
  TSENOR_FN shared_pairs share_coarse(const index& value) {
    slot ^= 1;
    std::int16_t* to = reinterpret_cast<std::int16_t*>(mine.shared_index[slot] + first_lane());
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      const int lane = my_lane() + 32 * s;
      to[2 * (lane % coarse_count) + lane / coarse_count] = std::int16_t(value.part[s]);
    }
    __syncwarp();
    shared_pairs r;
    TSENOR_UNROLL for (int k = 0; k < coarse_count; k += 4) {
      const uint4 four = *reinterpret_cast<const uint4*>(to + 2 * k);
      r.x[k].x = four.x, r.x[k + 1].x = four.y, r.x[k + 2].x = four.z, r.x[k + 3].x = four.w;
    }
    return r;
  }

  // The value of the lane whose number differs in the bits of `distance`.
  TSENOR_FN static real from_lane_beside(const real& x, int distance) {
    return __shfl_xor_sync(warp, x.part[0], distance);
  }
  template <class T, class Part>
  TSENOR_FN static T at(const pack<T, Part, parts>& value, int k) {
    return __shfl_sync(warp, part_of(value, k), k & (group - 1), group);
  }
  TSENOR_FN static tile_set at(const bits& x, int k) {
    tile_set r = at(x.word[0], k);
    if constexpr (parts == 2) r |= tile_set(at(x.word[1], k)) << 32;
    return r;
  }
  TSENOR_FN static tile_set ballot(const flag& f) {
    if constexpr (parts == 2)
      return __ballot_sync(warp, f.part[0]) | tile_set(__ballot_sync(warp, f.part[1])) << 32;
    else if constexpr (group == 32)
      return __ballot_sync(warp, f.part[0]);
    else
      return __ballot_sync(warp, f.part[0]) >> first_lane() & ((1u << group) - 1u);
  }
  // Of a flag that is the same in all lanes of a tile.
  TSENOR_FN static bool any_tile(bool f) {
    if constexpr (one_tile)
      return f;
    else
      return __ballot_sync(warp, f) != 0;
  }
  template <class T, class Part>
  TSENOR_FN static T tile_largest(const pack<T, Part, parts>& x) {
    T r = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) r = r > x.part[s] ? r : x.part[s];
    return tile_max(r);
  }
  TSENOR_FN static int tile_smallest(const index& x) {
    int r = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) r = r < x.part[s] ? r : x.part[s];
    if constexpr (reduces) {
      return __reduce_min_sync(warp, r);
    } else {
      TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) {
        const int other = __shfl_xor_sync(warp, r, h);
        r = r < other ? r : other;
      }
      return r;
    }
  }
  template <class T>
  TSENOR_FN static T tile_max(T of_this_thread) {
    if constexpr (reduces && std::is_same_v<T, std::uint32_t>) {
      return __reduce_max_sync(warp, of_this_thread);
    } else {
      TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) {
        const T other = __shfl_xor_sync(warp, of_this_thread, h);
        of_this_thread = of_this_thread > other ? of_this_thread : other;
      }
      return of_this_thread;
    }
  }
  template <class T>
  TSENOR_FN static T tile_sum(T of_this_thread) {
    TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) of_this_thread += __shfl_xor_sync(warp, of_this_thread, h);
    return of_this_thread;
  }
  // Lane i: (i & H ? b : a) of lane i and of lane i ^ H, combined. log2(width) folds of `width` values leave in lane k the
  // combination of value k over all lanes.
  template <int H, class Combine>
  TSENOR_FN static real fold(const real& a, const real& b, const Combine& combine) {
    real r;
    if constexpr (H >= 32) {
      r.part[0] = combine(a.part[0], a.part[1]);
      r.part[1] = combine(b.part[1], b.part[0]);
    } else {
      const bool upper = my_lane() & H;
      TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
        const float keep = upper ? b.part[s] : a.part[s], give = upper ? a.part[s] : b.part[s];
        r.part[s] = combine(keep, __shfl_xor_sync(warp, give, H));
      }
    }
    return r;
  }
  TSENOR_FN static bits transpose(const bits& x) {
    bits r;
    TSENOR_UNROLL_PARTS for (int h = 0; h < parts; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.word[h]
        .part[s] = transpose_block(x.word[s].part[h]);
    return r;
  }

  // ---- lane by lane ----
  // floor((a + b) / 2)
  TSENOR_FN static index midpoint(const index& a, const index& b) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = (a.part[s] + b.part[s]) >> 1;
    return r;
  }
  // 2^x, x clamped to [-64, 64].
  TSENOR_FN static real exp2(const real& x) {
    const real clamped = largest(smallest(x, real(64.f)), real(-64.f));
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = exp2_approximate(clamped.part[s]);
    return r;
  }
  // min(a * b, 1) of numbers that are not negative.
  TSENOR_FN static real capped_product(const real& a, const real& b) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __saturatef(a.part[s] * b.part[s]);
    return r;
  }
  TSENOR_FN static real quotient(const real& a, const real& b) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __fdividef(a.part[s], b.part[s]);
    return r;
  }
  TSENOR_FN static real log2(const real& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __log2f(x.part[s]);
    return r;
  }
  // Of numbers in the range of an int.
  TSENOR_FN static index truncated(const real& x) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = int(x.part[s]);
    return r;
  }
  TSENOR_FN static index count(const bits& x) {
    index r = 0;
    TSENOR_UNROLL_PARTS for (int h = 0; h < parts; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] +=
        __popc(x.word[h].part[s]);
    return r;
  }
  TSENOR_FN static int first(tile_set x) {
    if constexpr (parts == 2)
      return (__ffsll(static_cast<long long>(x)) - 1) & (width - 1);
    else
      return (__ffs(static_cast<int>(x)) - 1) & (width - 1);
  }

 private:
  template <class T, class Four, class Pack>
  TSENOR_FN static shared_values<T> share(T* to, const Pack& value) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) to[my_lane() + 32 * s] = value.part[s];
    __syncwarp();
    shared_values<T> r;
    TSENOR_UNROLL for (int k = 0; k < width; k += 4) {
      const Four four = *reinterpret_cast<const Four*>(to + k);
      r.x[k] = four.x, r.x[k + 1] = four.y, r.x[k + 2] = four.z, r.x[k + 3] = four.w;
    }
    return r;
  }
  template <class Pack>
  TSENOR_FN static auto part_of(const Pack& x, [[maybe_unused]] int k) {
    if constexpr (parts == 2)
      return k & 32 ? x.part[1] : x.part[0];
    else
      return x.part[0];
  }
  // One instruction, 2 ulp.
  TSENOR_FN static float exp2_approximate(float x) {
#if defined(__CUDA_ARCH__)
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return ::exp2f(x);
#endif
  }
  // Bit k of lane i becomes bit i of lane k, for the group's lanes.
  TSENOR_FN static std::uint32_t transpose_block(std::uint32_t x) {
    TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) {
      const std::uint32_t low = h == 16  ? 0x0000ffffu
                                : h == 8 ? 0x00ff00ffu
                                : h == 4 ? 0x0f0f0f0fu
                                : h == 2 ? 0x33333333u
                                         : 0x55555555u;
      const std::uint32_t y = __shfl_xor_sync(warp, x, h);
      x = my_lane() & h ? (x & ~low) | (y >> h & low) : (x & low) | (y << h & ~low);
    }
    return x;
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
