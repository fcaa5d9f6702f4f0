// take: rows take their best entries at the prices; where many are equal, or a column is far off, the mask that repair
// begins with is found with more care.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

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

// The first `wanted` members of each set, or all.
template <class L>
TSENOR_FN typename L::bits first_of(const typename L::bits& set, const typename L::index& wanted) {
  using bits = typename L::bits;
  using index = typename L::index;
  index end = 0;  // no more than `wanted` are below it
  for (int step = L::width / 2; step > 0; step /= 2) {
    const index further = end + index(step);
    end = pick(L::count(set - bits::from(further)) > wanted, end, further);
  }
  return set - where(L::count(set) > wanted, bits::from(end));
}

// Of a row's entries of surplus >= 0, those above 0, and as many of those at 0 as it has room for: in row i the first
// from column i on, round to column i - 1.
template <class L>
TSENOR_STAGE void take_better(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto col = l.share(prices.col);
  const bits better = bits::template negative<L::width>(
      [&](int k) { return zero - (l.weights.row_entry(k) + prices.row + index(col[k])); });
  const bits tied = best - better, after = tied & bits::from(L::lane());
  best = best & better;
  const index wanted = quota.row - L::count(best), come_first = L::count(after);
  const auto all = !(come_first > wanted);
  best = best | where(all, after);
  best = best | first_of<L>(where(all, tied) ^ after, pick(all, wanted - come_first, wanted));
}

// Rows take their n best, those of surplus >= 0, and of equals at 0 the first from column i on. Returns how many rows
// have to choose.
template <class L>
TSENOR_STAGE int take_best(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                           typename L::bits& best) {
  best = best_entries(l, prices, quota);
  const auto chooses = L::count(best) > quota.row;
  const int choosing = L::count(chooses);
  if (L::any_tile(choosing != 0)) take_better(l, prices, quota, best);
  return choosing;
}

// The same with more care for columns: rows that choose do so in turn, each from its own column on, so that no two
// consider a column at once. A row takes an entry where the share of the rest that it still has to take and the share
// of theirs that the column has room for add up to more than 1. Returns whether a row has to choose.
template <class L>
TSENOR_FN bool take_in_turn(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side, mask_bits<L>& kept) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, one = 1;
  bits best = best_entries(l, prices, quota);
  const auto chooses = L::count(best) > quota.row;
  const auto col = l.share(prices.col);
  const bits better = bits::template negative<L::width>(
      [&](int k) { return zero - (l.weights.row_entry(k) + prices.row + index(col[k])); });
  const bits tied = where(chooses, best - better);
  best = best - tied;
  index left = L::count(tied), wanted = pick(chooses, quota.row - L::count(best), zero), column = L::lane();
  index room = quota.col - L::count(L::transpose(best)), rest = L::count(L::transpose(tied));
  for (int k = 0; k < side; k++) {
    const bits here = bits::one(column, wanted > zero) & tied;
    const auto may = here.any();
    const auto takes = may & ((room * left + wanted * rest > left * rest) | !(left > wanted));
    const index considered = pick(may, one, zero), taken = pick(takes, one, zero);
    best = best | where(takes, here);
    left = left - considered;
    wanted = wanted - taken;
    rest = L::from_next(rest - considered, side);
    room = L::from_next(room - taken, side);
    column = column + one;
    column = pick(column < index(side), column, zero);
  }
  kept = {best, L::transpose(best)};
  return L::ballot(chooses) != 0;
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

// Whether the sweeps at the lower resolution have left a column further from its quota than sweeps do where they work.
template <class L>
TSENOR_FN bool has_far_off(const typename L::bits& cols, const fixed_prices<L>& prices, const quotas<L>& quota,
                           int side) {
  using index = typename L::index;
  const index off = L::count(cols) - quota.col, most = side / 4, zero = 0;
  auto far = off * off > most * most;
  if constexpr (!L::exactly) far = far & ((off > zero) | (prices.col < zero) | typename L::flag(!quota.at_most));
  return L::ballot(far) != 0;
}

// What rows and columns keep, and the prices at which that is the rows' best.
template <class L>
struct taken {
  fixed_prices<L> prices;
  mask_bits<L> kept;
};

// What hard tiles keep, with more care: where rows choose among equals, at prices where as much as can be is equal;
// where columns are far off, at those of one more sweep, an exact one.
template <class L>
TSENOR_APART void take_with_care(typename L::memory& memory, const quotas<L>& quota, int side, bool hard,
                                 taken<L>& result) {
  L::barrier();
  L l(memory);
  taken<L> t = result;
  if constexpr (L::width > 32)
    if (!quota.at_most) {
      t.prices.col = rounded_to_unit(l, t.prices.col);
      t.prices.row = row_prices(l, t.prices.col, quota);
    }
  bool chooses = take_in_turn(l, t.prices, quota, side, t.kept);
  const bool far = has_far_off<L>(t.kept.cols, t.prices, quota, side) && hard;
  if (L::any_tile(far)) {
    fixed_prices<L> closer = t.prices;
    centre(l, quota, closer);
    if (far) t.prices = closer;
    chooses = take_in_turn(l, t.prices, quota, side, t.kept);
  }
  chooses = chooses && hard;
  if (L::any_tile(chooses)) move_over_equals(l, t.prices, quota, chooses, t.kept);
  if (hard) result = t;
  L::barrier();
}

// The rows' best entries, to begin with.
template <class L>
TSENOR_STAGE void take(L& l, fixed_prices<L>& prices, const quotas<L>& quota, int side, mask_bits<L>& kept) {
  [[maybe_unused]] const int choosing = take_best(l, prices, quota, side, kept.rows);
  kept.cols = L::transpose(kept.rows);
  if constexpr (may_take_care<L>) {
    const bool far = has_far_off<L>(kept.cols, prices, quota, side);
    const bool hard = (far || choosing * 4 > side) && takes_care(quota);
    if (!L::any_tile(hard)) return;
    taken<typename L::general> t{{prices.row, prices.col}, {kept.rows, kept.cols}};
    take_with_care<typename L::general>(l.mine, as_general(quota), side, hard, t);
    prices = {t.prices.row, t.prices.col};
    kept = {t.kept.rows, t.kept.cols};
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
