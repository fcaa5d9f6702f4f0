// The pipeline for whole 4x4 tiles, a tile a lane: on the GPU a thread's, on the CPU one of a hardware vector's.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_SOLVE_TILE4)
#define TSENOR_SOLVE_TILE4

#include <cstdint>
#include <cstring>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/store.hpp"
#include "tsenor/detail/stages/tile4.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// Four neighbours of a matrix row, read or written at once where they lie on their common boundary.
template <class T>
struct alignas(4 * sizeof(T)) four_of {
  T x[4];
};
template <class T>
TSENOR_FN four_of<T> load_four(const T* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % alignof(four_of<T>) == 0)
    return *reinterpret_cast<const four_of<T>*>(from);
  return {from[0], from[1], from[2], from[3]};
}
template <class T>
TSENOR_FN void store_four(T* to, const four_of<T>& four) {
  if (reinterpret_cast<std::uintptr_t>(to) % alignof(four_of<T>) == 0)
    *reinterpret_cast<four_of<T>*>(to) = four;
  else
    TSENOR_UNROLL for (int j = 0; j < 4; j++) to[j] = four.x[j];
}

// One tile: its weights and importances, those cleaned, and what became of them.
template <class Weight, class Importance>
struct tile4 {
  using value = importance_value<Weight>;
  four_of<Weight> weights[4];
  value importance[4][4];
  int exponent, replaced;

  TSENOR_FN void load(const problem<Weight, Importance>& p, const tile_position& at) {
    const Weight* from = p.weights.data + at.batch * p.weights.batch_stride + at.row * p.weights.row_stride + at.col;
    TSENOR_UNROLL for (int i = 0; i < 4; i++) weights[i] = load_four(from + i * p.weights.row_stride);
    value most = 0;
    replaced = 0;
    TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) {
      const value raw = p.importance(to_arithmetic(weights[i].x[j]), at.row + i, at.col + j, at.batch);
      importance[i][j] = clean(raw);
      replaced += unclean(raw);
      most = most > importance[i][j] ? most : importance[i][j];
    }
    exponent = exponent_of(most);
  }
  TSENOR_FN float scaled(int i, int j) const {
    const float x = scaled_down(importance[i][j], exponent);
    return squares_after_scaling<Importance> ? x * x : x;
  }
  TSENOR_FN double importance_of(int i, int j) const {
    const double x = double(importance[i][j]);
    return squares_after_scaling<Importance> ? x * x : x;
  }

  TSENOR_FN void store(const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                       std::uint32_t kept) const {
    if (p.out.reports) store_report(p, tile, kept);
    TSENOR_UNROLL for (int i = 0; i < 4; i++) {
      const std::uint32_t row = kept >> 4 * i & 15u;
      if (p.out.pruned.data) {
        four_of<Weight> pruned;
        TSENOR_UNROLL for (int j = 0; j < 4; j++) pruned.x[j] = row >> j & 1u ? weights[i].x[j] : Weight{};
        store_four(&element_of(p.out.pruned, at, i, 0), pruned);
      }
      if (p.out.mask.data) {
        const std::uint32_t bytes = bytes_of_four(row);
        four_of<std::uint8_t> mask;
        std::memcpy(&mask, &bytes, sizeof mask);
        store_four(&element_of(p.out.mask, at, i, 0), mask);
      }
      if (p.out.packed.data) packed_row<std::uint8_t>(p, at, i) = std::uint8_t(row);
    }
  }
  // No better mask was left out, so the value is its own bound.
  TSENOR_FN void store_report(const problem<Weight, Importance>& p, std::int64_t tile, std::uint32_t kept) const {
    double value = 0;
    TSENOR_UNROLL for (int k = 0; k < 16; k++) value += kept >> k & 1u ? importance_of(k / 4, k % 4) : 0.;
    p.out.reports[tile] = {value, value, 0, 0, replaced, replaced ? report_replaced_inputs : 0u};
  }
};

// load, choose, store, of as many tiles as a lane value holds: those from `first` on, but for `end` and beyond.
template <class Lanes, class Weight, class Importance>
TSENOR_FN void solve_tiles4(const problem<Weight, Importance>& p, std::int64_t first, std::int64_t end) {
  tile4<Weight, Importance> tiles[Lanes::count];
  tile_position at[Lanes::count];
  typename Lanes::real w[4][4];
  for (int k = 0; k < Lanes::count; k++) {
    at[k] = position_of(p.grid, 4, first + k);
    tiles[k].load(p, at[k]);
    TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++)
        Lanes::set(w[i][j], k, tiles[k].scaled(i, j));
  }
  const auto kept = best_of_tile4<typename Lanes::bits>(w, p.nm.n, p.kept == constraint::at_most);
  for (int k = 0; k < Lanes::count; k++)
    if (first + k < end) tiles[k].store(p, at[k], first + k, Lanes::get(kept, k));
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
