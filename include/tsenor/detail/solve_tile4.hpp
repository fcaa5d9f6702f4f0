// The pipeline for whole 4x4 tiles, a tile a lane: on the GPU a thread's, on the CPU one of a hardware vector's.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_SOLVE_TILE4)
#define TSENOR_SOLVE_TILE4

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/store.hpp"
#include "tsenor/detail/stages/tile4.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The rows of a tile, each read or written at once: they lie on boundaries of four (problem::in_lanes_of_their_own).
template <class T>
struct rows4 {
  struct alignas(4 * sizeof(T)) row {
    T x[4];
  };
  row rows[4];

  TSENOR_FN void load(const T* from, std::int64_t stride) {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) rows[i] = *reinterpret_cast<const row*>(from + i * stride);
  }
  TSENOR_FN void store(T* to, std::int64_t stride) const {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) {
      if constexpr (std::is_class_v<T>) {  // of structs nvcc stores member by member
        typedef std::conditional_t<sizeof(row) == 4, std::uint32_t, std::uint64_t> word __attribute__((may_alias));
        static_assert(sizeof(word) == sizeof(row));
        word bytes;
        std::memcpy(&bytes, &rows[i], sizeof bytes);
        *reinterpret_cast<word*>(to + i * stride) = bytes;
      } else {
        *reinterpret_cast<row*>(to + i * stride) = rows[i];
      }
    }
  }
  TSENOR_FN T& operator[](int k) { return rows[k / 4].x[k % 4]; }
};

template <class Weight, class Importance>
TSENOR_FN rows4<Weight> weights_of(const problem<Weight, Importance>& p, const tile_position& at) {
  rows4<Weight> w;
  w.load(p.weights.data + at.batch * p.weights.batch_stride + at.row * p.weights.row_stride + at.col,
         p.weights.row_stride);
  return w;
}
template <class Weight, class Importance>
TSENOR_FN importance_value<Weight> importance_of(const problem<Weight, Importance>& p, const tile_position& at,
                                                 const Weight& w, int k) {
  return importance_value<Weight>(p.importance(to_arithmetic(w), at.row + k / 4, at.col + k % 4, at.batch));
}

// Within 2^+-60, importances, their squares and sums need no scaling.
constexpr int safe_exponent = 60;

// The tile's importances, cleaned, and scaled where they need it; how many were replaced.
template <class Weight, class Importance>
TSENOR_FN int load_tile4(const problem<Weight, Importance>& p, const tile_position& at, float (&importance)[16]) {
  using value = importance_value<Weight>;
  rows4<Weight> w = weights_of(p, at);
  value x[16], most = 0;
  int replaced = 0;
  decltype(bits_of(most)) top = 0;  // bits are ordered as numbers are, negative ones and NaN above
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    x[k] = importance_of(p, at, w[k], k);
    top = top > bits_of(x[k]) ? top : bits_of(x[k]);
  }
  std::memcpy(&most, &top, sizeof most);
  const int exponent = exponent_of(most);
  if (!is_clean(most) || exponent > safe_exponent || exponent < -safe_exponent) {
    most = 0;
    TSENOR_UNROLL for (int k = 0; k < 16; k++) {
      replaced += unclean(x[k]);
      x[k] = clean(x[k]);
      most = most > x[k] ? most : x[k];
    }
    TSENOR_UNROLL for (int k = 0; k < 16; k++) x[k] = value(detail::scaled_down(x[k], exponent_of(most)));
  }
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    importance[k] = float(x[k]);
    if constexpr (squares_after_scaling<Importance>) importance[k] *= importance[k];
  }
  return replaced;
}

// No better mask was left out, so the value is its own bound.
template <class Weight, class Importance>
TSENOR_FN tile_report report_of(const problem<Weight, Importance>& p, const tile_position& at, std::uint32_t kept,
                                int replaced) {
  rows4<Weight> w = weights_of(p, at);
  double value = 0;
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    const double x = double(clean(importance_of(p, at, w[k], k)));
    if (kept >> k & 1u) value += squares_after_scaling<Importance> ? x * x : x;
  }
  return {value, value, 0, 0, replaced, replaced ? report_replaced_inputs : 0u};
}

template <class Weight, class Importance>
TSENOR_FN void store_tile4(const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                           std::uint32_t kept, int replaced) {
  if (p.out.reports) p.out.reports[tile] = report_of(p, at, kept, replaced);
  if (p.out.pruned.data) {
    rows4<Weight> w = weights_of(p, at);
    TSENOR_UNROLL for (int k = 0; k < 16; k++) w[k] = kept >> k & 1u ? w[k] : Weight{};
    w.store(&element_of(p.out.pruned, at, 0, 0), p.out.pruned.row_stride);
  }
  if (p.out.mask.data) {
    rows4<std::uint8_t> mask;
    TSENOR_UNROLL for (int i = 0; i < 4; i++) {
      const std::uint32_t bytes = bytes_of_four(kept >> 4 * i);
      std::memcpy(&mask.rows[i], &bytes, sizeof bytes);
    }
    mask.store(&element_of(p.out.mask, at, 0, 0), p.out.mask.row_stride);
  }
  if (p.out.packed.data)
    for (int i = 0; i < 4; i++) packed_row<std::uint8_t>(p, at, i) = kept >> 4 * i & 15u;
}

// load, choose, store, of as many tiles as a lane value holds: those from `first` on, but for `end` and beyond.
template <class Lanes, class Weight, class Importance>
TSENOR_FN void solve_tiles4(const problem<Weight, Importance>& p, std::int64_t first, std::int64_t end, bool at_most) {
  typename Lanes::real w[4][4];
  int replaced[Lanes::count];
  for (int t = 0; t < Lanes::count; t++) {
    float importance[16];
    const std::int64_t tile = first + t < end ? first + t : end - 1;  // another thread may be pruning what follows
    replaced[t] = load_tile4(p, position_of(p.grid, 4, tile), importance);
    TSENOR_UNROLL for (int k = 0; k < 16; k++) Lanes::set(w[k / 4][k % 4], t, importance[k]);
  }
  const auto kept = best_of_tile4<typename Lanes::bits>(w, p.nm.n, at_most);
  asm volatile("" ::: "memory");  // weights and positions are had again below rather than held in registers until then
  for (int t = 0; t < Lanes::count; t++)
    if (first + t < end) store_tile4(p, position_of(p.grid, 4, first + t), first + t, Lanes::get(kept, t), replaced[t]);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
