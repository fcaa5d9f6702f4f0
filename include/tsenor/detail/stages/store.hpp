// store: the mask, packed rows, pruned weights and report of a tile. It alone knows outputs and report.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_STORE_STAGE)
#define TSENOR_STORE_STAGE

#include <cstdint>
#include <type_traits>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"
#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/round.hpp"
#include "tsenor/report.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The dual certificate in multiples of `unit`, of what l.importance holds: any u, v (not positive where a row may keep fewer than N) give
//   optimum <= sum max(0, w_ij + u_i + v_j) - N (sum u + sum v).
template <class L, class Value>
struct prices {
  Value row, col;
  double unit;
};

struct effort {
  int iterations, moves;
};

template <class T>
TSENOR_FN T& element_of(const output_buffer<T>& b, const tile_position& at, int i, int j) {
  return b.data[at.batch * b.batch_stride + (at.row + i) * b.row_stride + at.col + j];
}

// The word of a packed row: as wide as the lanes of a tile.
template <int Width>
using packed_word = std::conditional_t<
    Width == 8, std::uint8_t,
    std::conditional_t<Width == 16, std::uint16_t, std::conditional_t<Width == 32, std::uint32_t, std::uint64_t>>>;

template <class L, class Weight, class Importance>
TSENOR_FN void store_masks(L& l, const problem<Weight, Importance>& p, const tile_position& at,
                           const mask_bits<L>& mask) {
  for (int i = 0; i < p.nm.m; i++) {
    const auto row = L::at(mask.rows, i);
    if (i >= at.rows) continue;
    l.for_each_lane([&](int j) {
      if (j == 0 && p.out.packed.data) {
        const auto& b = p.out.packed;
        static_cast<packed_word<L::width>*>(
            b.data)[at.batch * b.batch_stride + (at.row + i) * b.row_stride + at.col / p.nm.m] =
            packed_word<L::width>(row & first_members<L>(at.cols));
      }
      if (j >= at.cols) return;
      const bool keep = row >> j & 1u;
      if (p.out.mask.data) element_of(p.out.mask, at, i, j) = keep;
      if (p.out.pruned.data) {
        const Weight w =
            p.weights.data[at.batch * p.weights.batch_stride + (at.row + i) * p.weights.row_stride + at.col + j];
        element_of(p.out.pruned, at, i, j) = keep ? w : Weight{};
      }
    });
  }
}

// Value and bound in double, from the original importances.
template <class L, class Weight, class Importance, class Value>
TSENOR_FN void store_report(L& l, const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                            const mask_bits<L>& mask, const prices<L, Value>& price, const tile_scale& scale,
                            const effort& spent) {
  constexpr bool squares = squares_after_scaling<Importance>;
  const double unit = power_of_two(squares ? 2 * scale.exponent : scale.exponent);
  const double price_unit = unit * price.unit;
  double value = 0, bound = 0;
  for (int i = 0; i < p.nm.m; i++) {
    const auto row = L::at(mask.rows, i);
    const double u = price_unit * double(L::at(price.row, i));
    if (i >= at.rows) continue;
    l.for_each_lane([&](int j) {
      if (j == 0) bound -= p.nm.n * u;
      if (j >= at.cols) return;
      const double v = price_unit * double(L::own(price.col, j)), x = double(clean(importance_at(p, at, i, j)));
      const double w = squares ? x * x : x, surplus = w + u + v;
      if (row >> j & 1u) value += w;
      if (surplus > 0) bound += surplus;
      if (i == 0) bound -= p.nm.n * v;
    });
  }
  value = l.tile_sum(value);
  bound = l.tile_sum(bound);
  const std::uint32_t flags =
      (at.partial(p.nm.m) ? report_partial_tile : 0u) | (scale.replaced ? report_replaced_inputs : 0u);
  l.for_each_lane([&](int j) {
    if (j == 0 && at.rows > 0)
      p.out.reports[tile] = {value, bound > value ? bound : value, spent.iterations, spent.moves, scale.replaced,
                             flags};
  });
}

template <class L, class Weight, class Importance, class Value>
TSENOR_FN void store(L& l, const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                     const mask_bits<L>& mask, const prices<L, Value>& price, const tile_scale& scale,
                     const effort& spent) {
  if (p.out.reports) store_report(l, p, at, tile, mask, price, scale, spent);  // before pruning in place
  store_masks(l, p, at, mask);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
