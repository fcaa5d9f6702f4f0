// The GPU as a machine of lanes: a lane value is a register of a thread (two where Width = 64: lanes i and i + 32). A
// tile takes Width lanes, so 32 / Width tiles share a warp.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>
#include <type_traits>

namespace tsenor::detail::TSENOR_MACHINE {

// What a kernel's lanes are for. All but the first two: tiles that are all whole. Exactly: exactly n. Plain: exactly n,
// of tiles as wide as the lanes, for masks alone, and for any outputs. At most: at most n, for masks alone, of tiles as
// wide as the lanes; between: of others.
enum class work {
  published,
  optimal,
  optimal_exactly,
  optimal_plain,
  optimal_plain_outputs,
  optimal_at_most,
  optimal_at_most_between
};

// The memory of a warp.
template <class L, bool HasPlan, bool HasPairs>
struct alignas(16) warp_memory {
  static constexpr int tile_size = L::tiles_per_warp * L::width * (L::width + 1);
  float shared[2][L::tiles_per_warp * L::width];
  std::int32_t shared_index[2][L::tiles_per_warp * L::width];
  union {
    float importance[tile_size];
    std::int32_t weights[tile_size];  // of the optimal method, in place of the importances
  };
  float plan[HasPlan ? tile_size : 1];
};
template <class L>
struct alignas(16) warp_memory<L, false, true> : warp_memory<L, false, false> {
  alignas(16) std::uint32_t pairs[L::tiles_per_warp * L::tile_pairs];  // coarse weights by row
};

template <int Width, work For>
struct lanes : warp_lanes<Width> {
  using base = warp_lanes<Width>;
  using base::first_lane, base::holds_tile, base::midpoint, base::my_lane, base::parts, base::tiles_per_warp,
      base::width;
  using index = typename base::index;
  using real = typename base::real;
  using tile_set = typename base::tile_set;
  template <class T>
  using tile = shared_tile<base, T>;
  static constexpr bool at_most = For == work::optimal_at_most || For == work::optimal_at_most_between;
  static constexpr bool masks_only = at_most || For == work::optimal_plain;
  static constexpr bool whole = For != work::published && For != work::optimal, exactly = whole && !at_most;
  static constexpr bool plain = whole && For != work::optimal_exactly && For != work::optimal_at_most_between;
  // Whether the compiler is told that all lanes agree where a tile is a warp: else it guards shuffles against parted
  // warps, and holds a tile's place in each lane. Plain lanes of 32 are faster if it is not (bench/NOTES.md).
  static constexpr bool told = Width == 64 || (Width == 32 && !plain);
  static constexpr bool holds_column = whole && holds_tile;  // from load on
  // The plan of 64 lanes takes the place of the importances, which registers hold meanwhile: so that as many tiles have
  // room as registers leave.
  static constexpr bool has_plan = For == work::published, plan_in_place = has_plan && !holds_tile;
  using memory = warp_memory<base, has_plan && !plan_in_place, holds_column>;
  using general = lanes<Width, whole ? work::optimal : For>;
  template <class T>
  struct shared_values {
    T x[width];
    TSENOR_FN T operator[](int k) const { return x[k]; }
  };
  using scaled_tile = scaled_patches<lanes>;  // what the dykstra stage works on

  tile<float> importance, plan;
  tile<std::int32_t> weights;
  memory& mine;
  float aside[plan_in_place ? width * width / 32 : 1];
  int slot = 0;
  TSENOR_FN explicit lanes(memory& m)
      : importance{m.importance + first_lane() * (width + 1)},
        plan{plan_in_place ? m.importance : m.plan + (has_plan ? first_lane() * (width + 1) : 0)},
        weights{m.weights + first_lane() * (width + 1)},
        mine(m) {}
  // After the last use of the plan.
  TSENOR_FN void restore_importance() {
    if constexpr (plan_in_place) scaled_tile(*this).restore_importance();
  }

  // A row of the mask as bytes of 0 or 1, in whole words, where they lie on their boundaries.
  using row_word = std::conditional_t<width == 4, unsigned, std::conditional_t<width == 8, uint2, uint4>>;
  TSENOR_FN static bool stores_whole_rows(const std::uint8_t* to) {
    return reinterpret_cast<std::uintptr_t>(to) % sizeof(row_word) == 0;
  }
  TSENOR_FN static void store_whole_row(std::uint8_t* to, tile_set row) {
    const auto four = [&](int k) { return bytes_of_four(std::uint32_t(row >> k)); };
    TSENOR_UNROLL for (int k = 0; k < width; k += int(sizeof(row_word))) {
      row_word x;
      if constexpr (width == 4)
        x = four(k);
      else if constexpr (width == 8)
        x = {four(k), four(k + 4)};
      else
        x = {four(k), four(k + 4), four(k + 8), four(k + 12)};
      *reinterpret_cast<row_word*>(to + k) = x;
    }
  }

  // ---- across the lanes of a tile ----
  TSENOR_FN static int warp_of_block() {
    const int r = int(threadIdx.x) / 32;
    return told ? __shfl_sync(base::warp, r, 0) : r;
  }
  TSENOR_FN static bool any_tile(bool f) { return told ? __ballot_sync(base::warp, f) != 0 : base::any_tile(f); }
  // Two slots in turn: a lane can be one barrier ahead of another, not two.
  TSENOR_FN shared_values<float> share(const real& value) {
    slot ^= 1;
    return through_memory<float, float4>(mine.shared[slot] + first_lane(), value);
  }
  TSENOR_FN shared_values<std::int32_t> share(const index& value) {
    slot ^= 1;
    return through_memory<std::int32_t, int4>(mine.shared_index[slot] + first_lane(), value);
  }
  // ---- the lower resolution: entries k and k + width / 2 in pairs ----
  using coarse = pair16;
  using coarse_rank = upper_half;
  using coarse_result = index;
  static constexpr int coarse_count = width / 2, coarse_parts = parts;
  TSENOR_FN static index widen(const coarse_result& x) { return x; }
  TSENOR_FN static coarse_result narrow(const index& x) { return x; }
  TSENOR_FN static int coarse_midprice(const coarse_rank& nth, const coarse_rank& next) {
    return -(sum(nth, next, 1) >> 1);
  }

  // A lane's column of weights before they are truncated.
  struct held_column {
    float x[holds_column ? width : 1];
    TSENOR_FN void hold(int k, const real& weight) { x[k] = weight.part[0]; }
  };

  // Rows or columns; in registers where they fit, else made on demand.
  struct coarse_tile {
    coarse x[holds_tile ? coarse_count : 1];
    typename tile<std::int32_t>::lines from;
    int shift, most;
    TSENOR_FN coarse get(int k, int s) const {
      if constexpr (holds_tile)
        return x[k];
      else
        return make(k, s);
    }
    TSENOR_FN coarse make(int k, int s) const {
      const int a = from.get(k, s), b = from.get(k + coarse_count, s);
      if constexpr (plain) {  // of 64 lanes: neither is negative or cut off
        return {std::uint32_t(a) >> shift | (std::uint32_t(b) << (16 - shift) & 0xffff0000u)};
      } else {
        const pair16 x = nearest_pair(a >> shift, b >> shift);
        return lower(upper(x, pair_of(0, 0)), pair_of(most, most));
      }
    }
  };
  struct coarse_lines {
    coarse_tile rows, cols;
  };
  // l.weights >> shift, but not less than 0 and not more than `most`, which is 2^14 where columns are held.
  TSENOR_FN coarse_lines coarse_entries(const held_column& held, int shift, int most) const {
    coarse_lines r;
    r.rows.shift = r.cols.shift = shift, r.rows.most = r.cols.most = most;
    r.rows.from = weights.entries(true), r.cols.from = weights.entries(false);
    if constexpr (holds_column) {
      make_pairs(held, shift, r);
    } else if constexpr (holds_tile) {
      TSENOR_UNROLL for (int k = 0; k < coarse_count; k++) r.rows.x[k] = r.rows.make(k, 0);
      TSENOR_UNROLL for (int k = 0; k < coarse_count; k++) r.cols.x[k] = r.cols.make(k, 0);
    }
    return r;
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
    read_pairs(reinterpret_cast<const std::uint32_t*>(to), r.x);
    return r;
  }

 private:
  // Coarse weights of held columns, which give them to the rows in halves of pairs. The last bit of 512 counts 2^-14:
  // multiplications and additions do what shifts, minima and a conversion would, which run where minima of prices do.
  TSENOR_FN void make_pairs(const held_column& held, int shift, coarse_lines& r) const {
    std::uint32_t* const pairs = mine.pairs + first_lane() / width * base::tile_pairs;
    std::uint16_t* const to =
        reinterpret_cast<std::uint16_t*>(pairs + my_lane() % coarse_count) + my_lane() / coarse_count;
    const float unit = float_of_bits(std::uint32_t(127 - 14 - shift) << 23);
    const auto give = [&](int k) {
      const std::uint32_t x = bits_of(__fadd_rz(__saturatef(held.x[k] * unit), 512.f));
      to[2 * k * base::row_pairs] = std::uint16_t(x);
      return int(x);
    };
    TSENOR_UNROLL for (int k = 0; k < coarse_count; k++) {
      const int low = give(k), high = give(k + coarse_count);
      r.cols.x[k] = pair_of(low, high);
    }
    __syncwarp();
    read_pairs(pairs + my_lane() * base::row_pairs, r.rows.x);
  }
  TSENOR_FN static void read_pairs(const std::uint32_t* from, pair16 (&r)[coarse_count]) {
    TSENOR_UNROLL for (int k = 0; k < coarse_count; k += 4) {
      const uint4 four = *reinterpret_cast<const uint4*>(from + k);
      r[k].x = four.x, r[k + 1].x = four.y, r[k + 2].x = four.z, r[k + 3].x = four.w;
    }
  }
  template <class T, class Four, class Pack>
  TSENOR_FN static shared_values<T> through_memory(T* to, const Pack& value) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) to[my_lane() + 32 * s] = value.part[s];
    __syncwarp();
    shared_values<T> r;
    TSENOR_UNROLL for (int k = 0; k < width; k += 4) {
      const Four four = *reinterpret_cast<const Four*>(to + k);
      r.x[k] = four.x, r.x[k + 1] = four.y, r.x[k + 2] = four.z, r.x[k + 3] = four.w;
    }
    return r;
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
