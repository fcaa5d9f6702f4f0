// A group of threads of a warp as the lanes of a tile: what a lane value is, and what passes between lanes. Collectives
// are executed by all lanes of a warp together: they stand only where every tile of the warp passes, never under a
// condition on one tile's own values.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>
#include <type_traits>

namespace tsenor::detail::TSENOR_MACHINE {

template <int Width>
struct warp_lanes : lane_arithmetic<Width / 32 + (Width < 32)> {
  static constexpr int width = Width;
  static constexpr int parts = width > 32 ? width / 32 : 1;
  static constexpr int group = width > 32 ? 32 : width;  // threads a tile
  static constexpr int tiles_per_warp = 32 / group;
  static constexpr bool one_at_a_time = false;
  static constexpr bool one_tile =
      tiles_per_warp == 1;                        // what is the same for a tile is the same for all that run together
  static constexpr bool holds_tile = parts == 1;  // a row a lane, in registers
  static constexpr unsigned warp = 0xffffffffu;
  // Pairs of 16-bit numbers from row to row, and from tile to tile, in memory: without bank conflicts.
  static constexpr int row_pairs = width / 2 + (width > 8 ? 4 : 0),
                       tile_pairs = width * row_pairs + (width < 32 ? width / 2 : 0);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  static constexpr bool reduces = false;
#else
  static constexpr bool reduces = group >= 16;  // integers over a warp in one instruction
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
  // The value of the lane whose number differs in the bits of `distance`.
  TSENOR_FN static real from_lane_beside(const real& x, int distance) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = __shfl_xor_sync(warp, x.part[s], distance);
    return r;
  }
  template <class T, class Part>
  TSENOR_FN static T at(const pack<T, Part, parts>& value, int k) {
    return __shfl_sync(warp, part_of(value, k), k, group);  // lane k modulo group
  }
  TSENOR_FN static tile_set at(const bits& x, int k) {
    tile_set r = at(x.word[0], k);
    if constexpr (parts == 2) r |= tile_set(at(x.word[1], k)) << 32;
    return r;
  }
  // Of the next lane, the first m of them in a ring.
  TSENOR_FN static index from_next(const index& x, int m) {
    const int next = my_lane() + 1;
    if constexpr (parts == 1) {
      return __shfl_sync(warp, x.part[0], next == m ? 0 : next, group);
    } else {
      const int low = __shfl_sync(warp, x.part[0], next & 31), high = __shfl_sync(warp, x.part[1], next & 31),
                first = __shfl_sync(warp, x.part[0], 0);
      index r;
      r.part[0] = next == 32 ? high : low;
      r.part[1] = next + 32 == m ? first : high;
      return r;
    }
  }
  TSENOR_FN static tile_set ballot(const flag& f) {
    if constexpr (parts == 2)
      return __ballot_sync(warp, f.part[0]) | tile_set(__ballot_sync(warp, f.part[1])) << 32;
    else if constexpr (group == 32)
      return __ballot_sync(warp, f.part[0]);
    else
      return __ballot_sync(warp, f.part[0]) >> first_lane() & ((1u << group) - 1u);
  }
  TSENOR_FN static void barrier() { __syncwarp(); }
  // Of a flag that is the same in all lanes of a tile.
  TSENOR_FN static bool any_tile(bool f) {
    if constexpr (one_tile)
      return f;
    else
      return __ballot_sync(warp, f) != 0;
  }
  TSENOR_FN static bool any(const flag& f) {
    bool r = f.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) r = r || f.part[s];
    return __ballot_sync(warp, r) != 0;
  }
  template <class T, class Part>
  TSENOR_FN static T tile_largest(const pack<T, Part, parts>& x) {
    T r = x.part[0];
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) r = r > x.part[s] ? r : x.part[s];
    return tile_max(r);
  }
  // The largest of a and the largest of b, numbers of 16 bits.
  TSENOR_FN static two_ints tile_largest_both(const index& a, const index& b) {
    if constexpr (parts > 1 || reduces) {
      return {tile_largest(a), tile_largest(b)};
    } else {
      pair16 both = pair_of(a.part[0], b.part[0]);
      TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) both = upper(both, {__shfl_xor_sync(warp, both.x, h)});
      return {std::int16_t(both.x), std::int16_t(both.x >> 16)};
    }
  }
  TSENOR_FN static int tile_smallest(const index& x) {
    auto r = x.part[0];  // of a dependent type, so that __reduce_min_sync may be unknown where it is not called
    TSENOR_UNROLL_PARTS for (int s = 1; s < parts; s++) r = r < x.part[s] ? r : x.part[s];
    if constexpr (reduces) {
      return reduced(r, 0x7fffffff, [](auto x) { return __reduce_min_sync(warp, x); });
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
    if constexpr (reduces && (std::is_same_v<T, std::uint32_t> || std::is_same_v<T, std::int32_t>)) {
      constexpr T least = T(std::is_signed_v<T> ? 1u << 31 : 0u);
      return reduced(of_this_thread, least, [](T x) { return __reduce_max_sync(warp, x); });
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
    if constexpr (reduces && std::is_same_v<T, std::uint32_t>) {
      return reduced(of_this_thread, T(0), [](T x) { return __reduce_add_sync(warp, x); });
    } else {
      TSENOR_UNROLL for (int h = group / 2; h > 0; h /= 2) of_this_thread += __shfl_xor_sync(warp, of_this_thread, h);
      return of_this_thread;
    }
  }
  // Lane i: (i & H ? b : a) of lane i and of lane i ^ H, combined. log2(width) folds of `width` values leave in lane k
  // the combination of value k over all lanes.
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

  TSENOR_FN static index count(const bits& x) {
    index r = 0;
    TSENOR_UNROLL_PARTS for (int h = 0; h < parts; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] +=
        __popc(x.word[h].part[s]);
    return r;
  }
  TSENOR_FN static int count(const flag& f) {
    if constexpr (parts == 2)
      return __popcll(ballot(f));
    else
      return __popc(ballot(f));
  }
  // Of a set that has a member; where tiles share a warp, `first` of none is the last lane.
  TSENOR_FN static int first(tile_set x) {
    const std::uint32_t low = std::uint32_t(x);
    if constexpr (parts == 2) return low ? __ffs(int(low)) - 1 : __ffs(int(x >> 32)) + 31;
    const int k = __ffs(int(low)) - 1;
    return one_tile ? k : k & (width - 1);
  }
  TSENOR_FN static int last(tile_set x) {
    const int high = parts == 2 ? int(std::uint64_t(x) >> 32) : 0;
    return high != 0 ? 63 - __clz(high) : 31 - __clz(int(std::uint32_t(x)));
  }

 private:
  // reduce(x) over the tile's lanes by reductions over the warp: two of half warps, whose other half has `none`.
  template <class T, class Reduce>
  TSENOR_FN static T reduced(T x, T none, const Reduce& reduce) {
    if constexpr (group == 32) return reduce(x);
    const bool upper = first_lane() != 0;
    const T low = reduce(upper ? none : x), high = reduce(upper ? x : none);
    return upper ? high : low;
  }
  template <class Pack>
  TSENOR_FN static auto part_of(const Pack& x, [[maybe_unused]] int k) {
    if constexpr (parts == 2)
      return k & 32 ? x.part[1] : x.part[0];
    else
      return x.part[0];
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
