// store: the mask, packed rows, pruned weights and report of a tile. It alone knows outputs and report.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_STORE_STAGE)
#define TSENOR_STORE_STAGE

#include <cfloat>
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
struct tile_prices {
  Value row, col;
  double unit;
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

template <class Word, class Weight, class Importance>
TSENOR_FN Word& packed_row(const problem<Weight, Importance>& p, const tile_position& at, int i) {
  const auto& b = p.out.packed;
  return static_cast<Word*>(b.data)[at.batch * b.batch_stride + (at.row + i) * b.row_stride + at.tile_col];
}

// The bytes of a row, 1 where an entry is kept.
template <class L>
TSENOR_FN void store_bytes(std::uint8_t* to, typename L::tile_set row, int cols) {
  if (cols == L::width && L::stores_whole_rows(to))
    L::store_whole_row(to, row);
  else
    for (int j = 0; j < cols; j++) to[j] = row >> j & 1u;
}

// Whether lanes store their rows of the mask in whole words. Where they don't, the tile's lanes store a row together, a byte each.
template <class L, class Weight, class Importance>
TSENOR_FN bool stores_own_rows(const problem<Weight, Importance>& p) {
  const auto& mask = p.out.mask;
  return L::plain || L::one_at_a_time ||
         (p.nm.m == L::width && L::stores_whole_rows(mask.data) && L::stores_whole_rows(mask.data + mask.row_stride) &&
          L::stores_whole_rows(mask.data + mask.batch_stride));
}

// A lane stores its row of the masks.
template <class L, class Weight, class Importance>
TSENOR_FN void store_masks(L& l, const problem<Weight, Importance>& p, const tile_position& at,
                           const typename L::bits& rows) {
  const int count = at.exists ? at.rows : 0, cols = at.cols;
  if (p.out.mask.data) {
    std::uint8_t* const to = &element_of(p.out.mask, at, 0, 0);
    const std::int64_t stride = p.out.mask.row_stride;
    if (stores_own_rows<L>(p)) {
      l.for_each_lane([&](int i) {
        if (i < count) store_bytes<L>(to + i * stride, L::own(rows, i), cols);
      });
    } else {
      for (int i = 0; i < p.nm.m; i++) {
        const auto row = L::at(rows, i);
        l.for_each_lane([&](int j) {
          if (i < count && j < cols) to[i * stride + j] = row >> j & 1u;
        });
      }
    }
  }
  if (p.out.packed.data) {
    using word = packed_word<L::width>;
    word* const to = &packed_row<word>(p, at, 0);
    const std::int64_t stride = p.out.packed.row_stride;
    l.for_each_lane([&](int i) {
      if (i < count) to[i * stride] = word(L::own(rows, i) & first_members<L>(cols));
    });
  }
}

// A lane stores its column of the pruned weights.
template <class L, class Weight, class Importance>
TSENOR_FN void store_pruned(L& l, const problem<Weight, Importance>& p, const tile_position& at,
                            const typename L::bits& cols) {
  for (int i = 0; i < at.rows; i++)
    l.for_each_lane([&](int j) {
      if (j >= at.cols || !at.exists) return;
      element_of(p.out.pruned, at, i, j) = L::own(cols, j) >> i & 1u ? weight_at(p, at, i, j) : Weight{};
    });
}

// Value and bound in double, from the original importances.
template <class L, class Weight, class Importance, class Value>
TSENOR_FN void store_report(L& l, const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                            const mask_bits<L>& mask, const tile_prices<L, Value>& price, double unit, int replaced,
                            const effort& spent) {
  constexpr bool squares = squares_after_scaling<Importance>;
  const double price_unit = unit * price.unit;
  using numbers = typename L::template lane_value<double>;
  const numbers v = L::template lane_by_lane<double>(
      [&](int j) { return j < at.cols ? price_unit * double(L::own(price.col, j)) : -1e308; });  // outside: no surplus
  const bool as_it_is = L::one_at_a_time && replaced == 0 && at.cols == L::width;
  const numbers zero = 0.;
  numbers values = 0., surpluses = 0.;
  double prices = 0;
  for (int i = 0; i < p.nm.m; i++) {
    const auto row = L::at(mask.rows, i);
    const double u = price_unit * double(L::at(price.row, i));
    if (i >= at.rows) continue;
    const numbers x = as_it_is
                          ? L::template lane_by_lane<double>([&](int j) { return double(importance_at(p, at, i, j)); })
                          : L::template lane_by_lane<double>(
                                [&](int j) { return j < at.cols ? double(clean(importance_at(p, at, i, j))) : 0.; });
    const numbers kept = L::template lane_by_lane<double>([&](int j) { return double(int(row >> j & 1u)); });
    const numbers w = squares ? x * x : x, surplus = w + numbers(u) + v;
    values = values + pick(kept > zero, w, zero);
    surpluses = surpluses + pick(surplus > zero, surplus, zero);
    prices += u;
  }
  double value = 0, bound = 0;
  l.for_each_lane([&](int j) {
    value += L::own(values, j);
    bound += L::own(surpluses, j) - (j < at.cols ? p.nm.n * L::own(v, j) : 0.) - (j == 0 ? p.nm.n * prices : 0.);
  });
  value = l.tile_sum(value);
  bound = l.tile_sum(bound);
  const std::uint32_t flags =
      (at.partial(p.nm.m) ? report_partial_tile : 0u) | (replaced ? report_replaced_inputs : 0u);
  l.for_each_lane([&](int j) {
    if (j == 0 && at.exists)
      p.out.reports[tile] = {value, bound > value ? bound : value, spent.iterations, spent.moves, replaced, flags};
  });
}

// A lane stores the prices of its row and its column, 0 outside the tile. One beyond the range of its type becomes the last
// of the range: any finite prices bound the optimum.
template <class L, class Weight, class Importance, class Value>
TSENOR_FN void store_prices(L& l, const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                            const tile_prices<L, Value>& price, double unit) {
  using stored = price_type<Weight>;
  constexpr double most = std::is_same_v<stored, double> ? DBL_MAX : double(FLT_MAX);
  const auto finite = [](double x) { return stored(x > most ? most : x < -most ? -most : x); };
  stored* to = p.out.prices + tile * 2 * p.nm.m;
  l.for_each_lane([&](int k) {
    if (k >= p.nm.m || !at.exists) return;
    to[k] = k < at.rows ? finite(unit * double(L::own(price.row, k))) : stored(0);
    to[p.nm.m + k] = k < at.cols ? finite(unit * double(L::own(price.col, k))) : stored(0);
  });
}

template <class L, class Weight, class Importance, class Value>
TSENOR_FN void store(L& l, const problem<Weight, Importance>& p, const tile_position& at, std::int64_t tile,
                     const mask_bits<L>& mask, const tile_prices<L, Value>& price, const tile_scale& scale,
                     const effort& spent) {
  const double unit = power_of_two(unit_exponent<Importance>(scale));
  if (p.out.reports) store_report(l, p, at, tile, mask, price, unit, scale.replaced, spent);
  if (p.out.prices) store_prices(l, p, at, tile, price, unit * price.unit);
  if (p.out.pruned.data) store_pruned(l, p, at, mask.cols);  // after the report: it may be in place
  store_masks(l, p, at, mask.rows);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
