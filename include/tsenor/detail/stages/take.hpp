// take: rows take their best entries at the prices; where many are equal, or a column is far off, the mask that repair
// begins with is found with more care.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

// A row's entries of surplus >= 0. Where rows may keep fewer, a row of price 0 leaves the entries of surplus 0, unless
// it takes all with care.
template <class L, class Prices>
TSENOR_FN typename L::bits best_entries(L& l, const Prices& col, const fixed_prices<L>& prices, const quotas<L>& quota,
                                        bool care) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const index least = pick(typename L::flag(quota.at_most && !care) & (prices.row == zero), index(1), zero);
  const index row = prices.row - least;
  const bits worse =
      bits::template negative<L::width>([&](int k) { return l.weights.row_entry(k) + index(col[k]) + row; });
  const bits best = bits(first_members<L>(L::width)) - worse;
  return L::plain ? best : where(quota.row > zero, best & bits(L::ballot(quota.col > zero)));
}

// Columns of price 0 may keep fewer for nothing: of equals, rows take those in others first. Not with care, nor with
// M <= 16: where there are few different weights, or few in all, that costs more than it brings.
template <class L>
constexpr bool columns_come_last = L::width > 16;
template <class L>
TSENOR_FN typename L::flag come_last(const fixed_prices<L>& prices, const quotas<L>& quota, bool care) {
  if constexpr (!columns_come_last<L>) return typename L::flag(false);
  return (prices.col == typename L::index(0)) & (quota.at_most && !care);
}

// Of their best entries rows keep those of surplus above 0, and as many of the others, the equals, as they have room
// for; of `many` equals so that columns get even shares. Returns whether any tile has many; `equals` are set then.
template <class L, class Prices>
TSENOR_STAGE bool take_better(L& l, const Prices& col, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                              bool many, const typename L::flag& last, typename L::bits& best, mask_bits<L>& equals) {
  using bits = typename L::bits;
  const bits better = better_entries(l, col, prices), equal = best - better, above = best & better;
  if (L::any_tile(!many)) best = above | first_equals<L>(equal, quota.row - L::count(above));
  if (!L::any_tile(many)) return false;
  equals = {equal, L::transpose(equal)};
  const bits in_turn = above | equals_in_order<L>(above, equals, last, quota, side);
  if (many) best = in_turn;
  return true;
}

// Rows take their n best, those of surplus >= 0, and choose among equals: where rows may keep fewer and no columns come
// last, in turn only with care. Then units move over these until no path is left.
template <class L, class Prices>
TSENOR_STAGE void take_best(L& l, const Prices& col, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                            bool care, mask_bits<L>& kept) {
  kept.rows = best_entries(l, col, prices, quota, care);
  const int choosing = L::count(L::count(kept.rows) > quota.row);
  const bool many = choosing * 4 > side && (columns_come_last<L> || care || !quota.at_most);
  const typename L::flag last = come_last(prices, quota, care);
  mask_bits<L> equals;
  bool moves = false;
  if (L::any_tile(choosing != 0)) moves = take_better(l, col, prices, quota, side, many, last, kept.rows, equals);
  kept.cols = L::transpose(kept.rows);
  if (moves) move_in_order<L>(equals, last, quota, many, kept);
}

// Prices of columns rounded to the power of two of which all weights are multiples, where that is above `least`: what is
// equal at the best prices is equal then.
template <class L>
TSENOR_FN typename L::index rounded_to_unit(L& l, const typename L::index& price, int least) {
  using index = typename L::index;
  constexpr int at_once = L::width > 32 ? 8 : 1;
  index all = 0;
  TSENOR_ROLLED for (int first = 0; first < L::width; first += at_once) TSENOR_UNROLL for (int k = 0; k < at_once; k++)
      all = all | l.weights.row_entry(first + k);
  const int unit = L::tile_smallest(L::template lane_by_lane<std::int32_t>([&](int i) {
    const int x = L::own(all, i), lowest = x & -x;
    return x == 0 || lowest > -outside ? -outside : lowest;
  }));
  const index rounded =
      L::template lane_by_lane<std::int32_t>([&](int i) { return (L::own(price, i) + unit / 2) & -unit; });
  return pick(typename L::flag(unit > least), rounded, price);
}

// By how many units each column is off. Where they may keep fewer, those of price 0 may lack some.
template <class L>
TSENOR_FN typename L::index units_off(const typename L::bits& cols, const fixed_prices<L>& prices,
                                      const quotas<L>& quota) {
  using index = typename L::index;
  const index zero = 0, off = L::count(cols) - quota.col, units = largest(off, zero - off);
  if constexpr (L::exactly) return units;
  return pick((prices.col == zero) & quota.at_most, largest(off, zero), units);
}

// Whether the sweeps at the lower resolution have left columns off by more units, in all, than sweeps do where they work,
// which is more where rows choose among `equals`.
template <class L>
constexpr int usual_of_equals = L::width > 16 ? 12 : 8;  // in eighths of a unit for each column
template <class L>
TSENOR_FN bool are_far_off(const typename L::index& units, int side, bool equals) {
  std::uint32_t sum = 0;
  L::for_each_lane([&](int i) { sum += std::uint32_t(L::own(units, i)); });
  return int(L::tile_sum(sum)) * 8 > side * (equals ? usual_of_equals<L> : 3);
}

// Tiles of M <= 32. Hard ones pass again, through the same code: those with a large unit at prices of columns that are
// rounded to it; those with columns far off at exact prices of columns, which are those of rows while the tile lies
// transposed.
template <class L>
TSENOR_FN bool take_narrow(L& l, const typename L::index& digits, fixed_prices<L>& prices, const quotas<L>& quota,
                           int side, mask_bits<L>& kept) {
  enum { first, rounded, columns, last } pass = first;
  bool large_unit = false, far = false;
  TSENOR_ROLLED while (true) {
    const auto col = shared_prices(l, prices.col, quota);
    prices.row = balance(l, true, col, quota);
    if (pass == first) {
      large_unit = has_large_unit<L>(digits);
      if (L::any_tile(large_unit)) {
        const typename L::index even = rounded_to_unit(l, prices.col, 1 << coarse_shift);
        if (large_unit) prices.col = even;
        pass = rounded;
        continue;
      }
    }
    if (pass != columns) take_best(l, col, prices, quota, side, large_unit || far, kept);
    if (pass <= rounded) far = are_far_off<L>(units_off<L>(kept.cols, prices, quota), side, large_unit);
    if (pass == last || !L::any_tile(far)) return large_unit || far;
    l.weights.transpose(far);
    if (far) prices = {prices.col, prices.row};
    pass = pass <= rounded ? columns : last;
  }
}

// For M > 32: exact prices of rows, or of columns, given the other side's, and with those of rows what is best. A
// function for all that wants it, since the code that a tile runs through has no room in a GPU's instruction cache else.
template <class L>
TSENOR_APART void balance_apart(typename L::memory& memory, bool rows, const quotas<L>& quota, bool care,
                                fixed_prices<L>& prices, typename L::bits& best) {
  L::barrier();
  L l(memory);
  const auto other = shared_prices(l, rows ? prices.col : prices.row, quota);
  (rows ? prices.row : prices.col) = balance(l, rows, other, quota);
  if (rows) best = best_entries(l, other, prices, quota, care);
  L::barrier();
}

// For M > 32 where few rows choose: of their best entries they keep those of surplus above 0, and the first others.
template <class L>
TSENOR_FN void take_first(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, typename L::bits& best) {
  const typename L::bits above = best & better_entries(l, shared_prices(l, prices.col, quota), prices);
  best = above | first_equals<L>(best - above, quota.row - L::count(above));
}

// Of their best entries, `best`, rows choose among equals with more care for columns. Returns whether a row has to;
// `equals` are all entries of surplus 0.
template <class L>
TSENOR_FN bool take_in_turn(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                            const typename L::bits& best, mask_bits<L>& kept, mask_bits<L>& equals) {
  using bits = typename L::bits;
  equals.rows = best - better_entries(l, shared_prices(l, prices.col, quota), prices);
  equals.cols = L::transpose(equals.rows);
  const auto chooses = L::count(best) > quota.row;
  const bits open = where(chooses, equals.rows), above = best - open;
  const mask_bits<L> these{open, equals.cols & bits(L::ballot(chooses))};
  kept.rows = above | equals_in_order<L>(above, these, come_last(prices, quota, false), quota, side);
  kept.cols = L::transpose(kept.rows);
  return L::ballot(chooses) != 0;
}

// What rows and columns keep, and the prices at which that is the rows' best.
template <class L>
struct taken {
  fixed_prices<L> prices;
  mask_bits<L> kept;
};

// What a hard tile of M > 32 keeps, with more care: where rows choose among equals, at prices where as much as can be is
// equal, which rounding to a small unit does not bring where rows may keep fewer; where columns are far off, of a tile
// with a large unit a single one, at those of one more sweep, an exact one, unless they are `swept`. `priced`: there is no
// large unit; rows have prices, and their best in `result`.
template <class L>
TSENOR_APART void take_with_care(typename L::memory& memory, const quotas<L>& quota, int side, bool priced, bool swept,
                                 taken<L>& result) {
  L::barrier();
  L l(memory);
  taken<L> t = result;
  const quotas<L> first = first_problem(quota);
  const int least = first.at_most ? 1 << (unit_shift - 1) : 1 << coarse_shift;
  const typename L::index even = rounded_to_unit(l, t.prices.col, least), most = side / 4;
  const bool as_before = !L::any(!(even == t.prices.col)) && priced;
  t.prices.col = even;
  typename L::bits best = t.kept.rows;
  mask_bits<L> equals;
  bool chooses = false;
  TSENOR_ROLLED for (int steps = as_before ? 0 : 1; true; steps = 2) {
    TSENOR_ROLLED for (; steps > 0; steps--) balance_apart(memory, steps == 1, first, true, t.prices, best);
    chooses = take_in_turn(l, t.prices, first, side, best, t.kept, equals);
    const typename L::index units = units_off<L>(t.kept.cols, t.prices, first);
    if (swept || !(priced ? are_far_off<L>(units, side, true) : L::any(units > most))) break;
    swept = true;
  }
  if (chooses) move_in_order<L>(equals, come_last(t.prices, first, false), first, true, t.kept);
  result = t;
  L::barrier();
}

// Tiles of M > 32, one at a time. While columns are far off, a few more sweeps follow, exact ones.
constexpr int exact_sweeps = 3;
template <class L>
TSENOR_FN bool take_wide(L& l, const typename L::index& digits, fixed_prices<L>& prices, const quotas<L>& quota,
                         int side, mask_bits<L>& kept) {
  const bool priced = !has_large_unit<L>(digits);
  int sweep = 0;
  TSENOR_ROLLED for (; priced; sweep++) {
    balance_apart<L>(l.mine, true, quota, false, prices, kept.rows);
    const int choosing = L::count(L::count(kept.rows) > quota.row);
    if (choosing * 4 > side) break;
    if (choosing != 0) take_first<L>(l, prices, quota, kept.rows);
    kept.cols = L::transpose(kept.rows);
    if (sweep == exact_sweeps || !are_far_off<L>(units_off<L>(kept.cols, prices, quota), side, false)) return false;
    balance_apart<L>(l.mine, false, quota, false, prices, kept.rows);
  }
  taken<L> t{prices, kept};
  take_with_care<L>(l.mine, quota, side, priced, sweep > 0, t);
  prices = t.prices;
  kept = t.kept;
  return true;
}

// The rows' best entries, to begin with. Returns whether with care.
template <class L>
TSENOR_STAGE bool take(L& l, const typename L::index& digits, fixed_prices<L>& prices, const quotas<L>& quota, int side,
                       mask_bits<L>& kept) {
  if constexpr (L::width > 32)
    return take_wide(l, digits, prices, quota, side, kept);
  else
    return take_narrow(l, digits, prices, quota, side, kept);
}

// The mask while it is repaired: entries and slack of every row add up to its quota.
template <class L>
struct partial_mask {
  mask_bits<L> kept;
  typename L::index row_slack, col_slack;
};

// What rows took, with the slack that is left.
template <class L>
TSENOR_FN partial_mask<L> with_slack(const mask_bits<L>& kept, const fixed_prices<L>& prices, const quotas<L>& quota) {
  using index = typename L::index;
  const index zero = 0;
  if constexpr (L::exactly) return {kept, zero, zero};
  const index col = pick(prices.col == zero, largest(quota.col - L::count(kept.cols), zero), zero);
  return {kept, quota.row - L::count(kept.rows), quota.at_most ? col : zero};
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
