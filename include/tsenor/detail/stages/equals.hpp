// Equals: entries that rows may keep or leave at no cost. Which of them rows take, and how units move over them.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

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

// What rows take of equals: in row i the first from column i on, round to column i - 1.
template <class L>
TSENOR_FN typename L::bits first_equals(const typename L::bits& equals, const typename L::index& wanted) {
  using bits = typename L::bits;
  const bits after = equals & bits::from(L::lane());
  const typename L::index come_first = L::count(after);
  const auto all = !(come_first > wanted);
  return where(all, after) | first_of<L>(where(all, equals) ^ after, pick(all, wanted - come_first, wanted));
}

// The same with more care for columns, of which rows keep `best` already. Rows choose in turn, each from its own column
// on, so that no two consider a column at once. A row takes an entry where the share of the rest that it still has to
// take and the share of theirs that the column has room for add up to more than 1.
template <class L>
TSENOR_FN typename L::bits equals_in_turn(const typename L::bits& best, const mask_bits<L>& equals,
                                          const quotas<L>& quota, int side) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, one = 1;
  bits took(0);
  index left = L::count(equals.rows), wanted = quota.row - L::count(best), column = L::lane();
  index room = quota.col - L::count(L::transpose(best)), rest = L::count(equals.cols);
  TSENOR_ROLLED for (int k = 0; k < side; k++) {
    const bits here = bits::one(column, wanted > zero) & equals.rows;
    const auto may = here.any();
    const auto takes = may & ((room * left + wanted * rest > left * rest) | !(left > wanted));
    const index considered = pick(may, one, zero), taken = pick(takes, one, zero);
    took = took | where(takes, here);
    left = left - considered;
    wanted = wanted - taken;
    rest = L::from_next(rest - considered, side);
    room = L::from_next(room - taken, side);
    column = column + one;
    column = pick(column < index(side), column, zero);
  }
  return took;
}

// The same, but last of all in the columns `last`.
template <class L>
TSENOR_FN typename L::bits equals_in_order(const typename L::bits& best, const mask_bits<L>& equals,
                                           const typename L::flag& last, const quotas<L>& quota, int side) {
  using bits = typename L::bits;
  if constexpr (L::exactly) return equals_in_turn<L>(best, equals, quota, side);
  const auto late = L::ballot(last);
  const mask_bits<L> first{equals.rows - bits(late), where(!last, equals.cols)};
  const bits took = equals_in_turn<L>(best, first, quota, side);
  if (!L::any_tile(late != 0)) return took;
  return took | first_equals<L>(equals.rows - first.rows, quota.row - L::count(best | took));
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
// `off` is by how many entries a column has too many.
template <class L>
TSENOR_FN void move_over_equals(const mask_bits<L>& equals, typename L::index off, bool wanted, mask_bits<L>& kept) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, one = 1, me = L::lane();
  TSENOR_ROLLED while (true) {
    const reached<L> r = reach<L>(kept, equals, off, wanted);
    bool walking = r.hit != 0;
    if (!L::any_tile(walking)) return;
    const auto is = [&](int k) { return (me == index(k)) & walking; };
    int col = L::first(r.hit);
    off = off + pick(is(col), one, zero);
    TSENOR_ROLLED while (L::any_tile(walking)) {
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

// The same, last of all to the columns `last`.
template <class L>
TSENOR_FN void move_in_order(const mask_bits<L>& equals, const typename L::flag& last, const quotas<L>& quota,
                             bool wanted, mask_bits<L>& kept) {
  using index = typename L::index;
  const index zero = 0;
  TSENOR_ROLLED for (bool all = L::exactly || !L::any_tile(L::ballot(last) != 0); true; all = true) {
    const index off = L::count(kept.cols) - quota.col;
    move_over_equals<L>(equals, pick(last & !all, largest(off, zero), off), wanted, kept);
    if (all) return;
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
