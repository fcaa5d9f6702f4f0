// take: rows take their best entries at the prices; where many are equal, or a column is far off, the mask that repair
// begins with is found with more care.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

// What rows choose from: entries that are equally good, and how many of them to take.
template <class L>
struct equals {
  typename L::bits tied;
  typename L::index wanted;
};

// The first from column i on.
template <class L>
TSENOR_FN void take_first(equals<L> e, typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const bits ahead = bits(first_members<L>(L::width)) - bits::below(L::lane());
  while (true) {
    const auto wants = e.wanted > index(0);
    if (!L::any_tile(L::ballot(wants) != 0)) return;
    const bits from_here = e.tied & ahead;
    const bits taken = where(wants, (where(from_here.any(), from_here) | where(!from_here.any(), e.tied)).lowest());
    best = best | taken;
    e.tied = e.tied - taken;
    e.wanted = e.wanted - pick(wants, index(1), index(0));
  }
}

// Where many rows choose, they do so in turn, each from its own column on, so that no two consider a column at once: a
// row takes an entry where the share of the rest that it still has to take and the share of theirs that the column has
// room for add up to more than 1.
template <class L>
TSENOR_FN void take_in_turn(equals<L> e, const quotas<L>& quota, int side, typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, one = 1;
  index left = L::count(e.tied), column = L::lane();
  index room = quota.col - L::count(L::transpose(best)), rest = L::count(L::transpose(e.tied));
  for (int k = 0; k < side; k++) {
    const bits here = bits::one(column, e.wanted > zero) & e.tied;
    const auto may = here.any();
    const auto takes = may & ((room * left + e.wanted * rest > left * rest) | !(left > e.wanted));
    const index considered = pick(may, one, zero), taken = pick(takes, one, zero);
    best = best | where(takes, here);
    left = left - considered;
    e.wanted = e.wanted - taken;
    rest = L::from_next(rest - considered, side);
    room = L::from_next(room - taken, side);
    column = column + one;
    column = pick(column < index(side), column, zero);
  }
}

// Of a row's entries of surplus >= 0, those above 0, and as many of those at 0 as it has room for.
template <class L>
TSENOR_FN void take_better(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                           typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto col = l.share(prices.col);
  const bits better = bits::template negative<L::width>(
      [&](int k) { return zero - (l.weights.row_entry(k) + prices.row + index(col[k])); });
  const auto chooses = L::count(best) > quota.row;
  const bits tied = where(chooses, best - better);
  best = best - tied;
  const equals<L> all = {tied, pick(chooses, quota.row - L::count(best), zero)};
  const bool many = L::count(chooses) * 4 > side;
  if (L::any_tile(!many)) take_first<L>({tied, pick(typename L::flag(many), zero, all.wanted)}, best);
  if (L::any_tile(many))
    take_in_turn<L>({where(typename L::flag(many), tied), pick(typename L::flag(many), all.wanted, zero)}, quota, side,
                    best);
}

// A row's entries of surplus >= 0. Where rows may keep fewer, a row of price 0 leaves the entries of surplus 0.
template <class L>
TSENOR_FN typename L::bits best_entries(L& l, const fixed_prices<L>& prices, const quotas<L>& quota) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto col = l.share(prices.col);
  const index least = quota.at_most ? pick(prices.row < zero, zero, index(1)) : zero;  // that a row takes at once
  const index row = prices.row - least;
  const bits worse =
      bits::template negative<L::width>([&](int k) { return l.weights.row_entry(k) + row + index(col[k]); });
  const bits best = bits(first_members<L>(L::width)) - worse;
  return L::plain ? best : where(quota.row > zero, best);
}

// A search over equals, breadth first from all columns with too many entries at once: what each row and column was
// reached from, as a set of one.
template <class L>
struct reached {
  typename L::bits row_from, col_from;
  typename L::tile_set sources, hit;  // `hit`: columns with too few entries that are reached, the nearest
};

template <class L>
TSENOR_FN reached<L> reach(const mask_bits<L>& kept, const mask_bits<L>& equals, const typename L::index& off,
                           bool open) {
  using bits = typename L::bits;
  const auto source = off > typename L::index(0);
  const auto sinks = L::ballot(off < typename L::index(0));
  auto front = L::ballot(source);
  reached<L> r{bits(0), where(source, bits(first_members<L>(L::width))), front, 0};
  open = open && front != 0;
  while (L::any_tile(open)) {
    const bits back = equals.rows & kept.rows & bits(front);
    const auto new_row = back.any() & !r.row_from.any();
    r.row_from = r.row_from | where(new_row, back.lowest());
    const bits to = (equals.cols - kept.cols) & bits(L::ballot(new_row));
    const auto new_col = to.any() & !r.col_from.any();
    r.col_from = r.col_from | where(new_col, to.lowest());
    front = L::ballot(new_col);
    if (open) r.hit = front & sinks;
    open = open && front != 0 && r.hit == 0;
  }
  return r;
}

// Moves units from columns with too many entries to others that have room, along paths over equals, which cost nothing.
template <class L>
TSENOR_FN void move_over_equals(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, bool wanted,
                                mask_bits<L>& kept) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, one = 1, me = L::lane();
  index off = L::count(kept.cols) - quota.col;
  const auto row_price = l.share(prices.row);
  const bits apart = bits::template negative<L::width>([&](int k) {
    const index surplus = l.weights.col_entry(k) + prices.col + index(row_price[k]);
    return largest(surplus, zero - surplus) * index(-1);
  });
  mask_bits<L> equals;
  equals.cols = bits(first_members<L>(L::width)) - apart;
  equals.rows = L::transpose(equals.cols);
  while (true) {
    const reached<L> r = reach<L>(kept, equals, off, wanted);
    bool walking = r.hit != 0;
    if (!L::any_tile(walking)) return;
    const auto is = [&](int k) { return (me == index(k)) & walking; };
    int col = L::first(r.hit);
    off = off + pick(is(col), one, zero);
    while (L::any_tile(walking)) {
      const int row = L::first(L::at(r.col_from, col)), before = L::first(L::at(r.row_from, row));
      kept.cols = kept.cols ^ bits::one(index(row), is(col) | is(before));
      kept.rows = kept.rows ^ bits::one(index(col), is(row)) ^ bits::one(index(before), is(row));
      const bool ends = (r.sources >> before & 1u) != 0;
      off = off - pick(is(before) & ends, one, zero);
      walking = walking && !ends;
      col = before;
    }
  }
}

// Prices of columns rounded to the power of two of which all weights are multiples, where the lower resolution tells
// its multiples apart: what is equal at the best prices is equal then.
template <class L>
TSENOR_FN typename L::index rounded_to_unit(L& l, const typename L::index& price) {
  using index = typename L::index;
  index all = 0;
  for (int k = 0; k < L::width; k++) all = all | l.weights.row_entry(k);
  const int unit = L::tile_smallest(L::template lane_by_lane<std::int32_t>([&](int i) {
    const int x = L::own(all, i), lowest = x & -x;
    return x == 0 || lowest > -outside ? -outside : lowest;
  }));
  const index rounded =
      L::template lane_by_lane<std::int32_t>([&](int i) { return (L::own(price, i) + unit / 2) & -unit; });
  return pick(typename L::flag(unit > 1 << coarse_shift), rounded, price);
}

// Columns that the sweeps at the lower resolution have left further from their quota than sweeps do where they work.
template <class L>
TSENOR_FN typename L::flag far_off(const typename L::bits& cols, const fixed_prices<L>& prices, const quotas<L>& quota,
                                   int side) {
  using index = typename L::index;
  const index off = L::count(cols) - quota.col, most = side / 4, zero = 0;
  auto far = off * off > most * most;
  if constexpr (!L::plain) far = far & ((off > zero) | (prices.col < zero) | typename L::flag(!quota.at_most));
  return far;
}

// Rows of these prices of columns take their best entries, and of equals those that columns have room for. Whether any
// had to choose.
template <class L>
TSENOR_FN bool take_at(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side, mask_bits<L>& kept) {
  kept.rows = best_entries(l, prices, quota);
  const bool chooses = L::ballot(L::count(kept.rows) > quota.row) != 0;
  if (L::any_tile(chooses)) take_better(l, prices, quota, side, kept.rows);
  kept.cols = L::transpose(kept.rows);
  return chooses;
}

// With more care: where rows choose among equals, at prices where as much as can be is equal; where columns are far
// off, at those of one more sweep, an exact one.
template <class L>
TSENOR_STAGE void take_with_care(L& l, fixed_prices<L>& prices, const quotas<L>& quota, int side, mask_bits<L>& kept) {
  const bool chose = L::ballot(L::count(kept.rows) > quota.row) != 0;
  if (L::any_tile(chose)) {
    const typename L::index col = rounded_to_unit(l, prices.col);
    if (chose) prices.col = col;
    prices.row = row_prices(l, prices.col, quota);
  }
  bool chooses = take_at(l, prices, quota, side, kept);
  const bool far = L::ballot(far_off<L>(kept.cols, prices, quota, side)) != 0;
  if (L::any_tile(far)) {
    fixed_prices<L> closer = prices;
    centre(l, quota, closer);
    if (far) prices = closer;
    chooses = take_at(l, prices, quota, side, kept);
  }
  if (L::any_tile(chooses)) move_over_equals(l, prices, quota, chooses, kept);
}

// What rows and columns keep, and the prices at which that is the rows' best.
template <class L>
struct taken {
  typename L::bits rows, cols;
  typename L::index row, col;
};

// The same for tiles of a plain kernel.
template <class L>
TSENOR_APART taken<L> take_apart(typename L::memory& memory, taken<L> t, int n) {
  L l(memory);
  fixed_prices<L> prices{t.row, t.col};
  mask_bits<L> kept{t.rows, t.cols};
  take_with_care(l, prices, quotas<L>{n, n, n, false}, L::width, kept);
  return {kept.rows, kept.cols, prices.row, prices.col};
}

// The rows' best entries, to begin with. `called` as in price().
template <class L>
TSENOR_STAGE void take(L& l, fixed_prices<L>& prices, const quotas<L>& quota, int side, mask_bits<L>& kept,
                       bool& called) {
  kept.rows = best_entries(l, prices, quota);
  kept.cols = L::transpose(kept.rows);
  const auto chooses = L::count(kept.rows) > quota.row;
  if (!L::any_tile(L::ballot(chooses | far_off<L>(kept.cols, prices, quota, side)) != 0)) return;
  if constexpr (L::plain) {
    const auto t = take_apart<typename L::hard>(l.mine, {kept.rows, kept.cols, prices.row, prices.col}, quota.n);
    kept = {t.rows, t.cols};
    prices = {t.row, t.col};
    called = true;
  } else {
    take_with_care(l, prices, quota, side, kept);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
