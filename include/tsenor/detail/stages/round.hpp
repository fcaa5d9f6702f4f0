// round: from the plan to a mask (arXiv 2505.23949, its Algorithm 2): greedy selection, then local search by swaps.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include "tsenor/pattern.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// A mask, both ways round.
template <class L>
struct mask_bits {
  typename L::bits rows;  // lane i: the columns kept in row i
  typename L::bits cols;  // lane j: the rows kept in column j
};

// The column of each row's best entry in l.plan that is not in `tried`; ties: the first.
template <class L>
TSENOR_FN typename L::index best_untried(L& l, const typename L::bits& tried) {
  typename L::real best = -1.f;
  typename L::index column = 0;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
    const auto x = l.plan.row_entry(k);
    const auto better = (x > best) & !tried.test(k);
    best = pick(better, x, best);
    column = pick(better, typename L::index(k), column);
  }
  return column;
}

// Lets every column with more than n rows drop its worst entries until n are left; ties: the last.
template <class L>
TSENOR_FN void drop_surplus(L& l, typename L::bits& cols, int n) {
  while (true) {
    const auto surplus = L::count(cols) > typename L::index(n);
    if (!L::any_tile(L::ballot(surplus) != 0)) return;
    typename L::real worst = 2.f;
    typename L::index row = 0;
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
      const auto x = l.plan.col_entry(k);
      const auto worse = cols.test(k) & !(x > worst);
      worst = pick(worse, x, worst);
      row = pick(worse, typename L::index(k), row);
    }
    cols = cols - L::bits::one(row, surplus);
  }
}

// What the greedy rounding may begin with: the entries above a bound of rows that have no more than n of them.
// `inside`: the rows of the tile. `nowhere`: the columns outside of it.
template <class L>
TSENOR_FN typename L::bits entries_above(L& l, const typename L::flag& inside, const typename L::bits& nowhere, int n,
                                         float bound) {
  using bits = typename L::bits;
  using index = typename L::index;
  bits above(typename L::tile_set(0));
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) above =
      above | bits::one(index(k), inside & (l.plan.row_entry(k) > typename L::real(bound)));
  above = above - nowhere;  // which the plan of an all-zero tile does not know from its own columns
  return where(!(L::count(above) > index(n)), above);
}

// Deferred acceptance by rounds: all rows with room offer at once. Every round offers at least one of M^2 entries for
// the first and only time.
template <class L>
TSENOR_FN mask_bits<L> accepted_by_rounds(L& l, pattern nm) {
  using bits = typename L::bits;
  using index = typename L::index;
  const auto inside = L::lane() < index(nm.m);
  const bits nowhere(~first_members<L>(nm.m));
  bits offered = entries_above(l, inside, nowhere, nm.n, 0.5f);
  mask_bits<L> mask{offered, L::transpose(offered)};
  while (true) {
    drop_surplus(l, mask.cols, nm.n);
    mask.rows = L::transpose(mask.cols);
    const auto offers = (L::count(mask.rows) < index(nm.n)) & (L::count(offered) < index(nm.m)) & inside;
    if (!L::any_tile(L::ballot(offers) != 0)) return mask;
    const bits offer = bits::one(best_untried(l, offered | nowhere), offers);
    offered = offered | offer;
    mask.cols = mask.cols | L::transpose(offer);
  }
}

// Lets column j drop its worst entry; ties: the last.
template <class L>
TSENOR_FN void drop_worst(L& l, mask_bits<L>& mask, int j) {
  using bits = typename L::bits;
  using index = typename L::index;
  // As integers, whose order is that of numbers that are not negative.
  const index x = pick(mask.rows.test(j), same_bits<index>(l.plan.arcs_of(fixed_bool<false>{}, j)), index(1 << 30));
  const int i = L::last(L::ballot(x == index(L::tile_smallest(x))));
  mask.rows = mask.rows - bits::one(index(j), L::lane() == index(i));
  mask.cols = mask.cols - bits::one(index(i), L::lane() == index(j));
}

// Row i offers its best entry; ties: the first. `offered` has the rows that have offered to each column. False if row i
// has offered to all.
template <class L>
TSENOR_FN bool offer_best(L& l, mask_bits<L>& mask, typename L::bits& offered, int i) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index x = pick(offered.test(i), index(-1), same_bits<index>(l.plan.arcs_of(fixed_bool<true>{}, i)));
  const int best = L::tile_largest(x), j = L::first(L::ballot(x == index(best)));
  if (best < 0) return false;
  const bits offer = bits::one(index(i), L::lane() == index(j));
  offered = offered | offer;
  mask.cols = mask.cols | offer;
  mask.rows = mask.rows | bits::one(index(j), L::lane() == index(i));
  return true;
}

// Deferred acceptance one by one, with a lane for each entry of a row or column: for lanes that hold no row, and would
// read the tile twice a round. Every entry is offered once, and dropped once at most.
template <class L>
TSENOR_FN mask_bits<L> accepted_one_by_one(L& l, pattern nm) {
  using index = typename L::index;
  using tile_set = typename L::tile_set;
  static_assert(L::one_tile);
  const auto inside = L::lane() < index(nm.m);
  const typename L::bits nowhere(~first_members<L>(nm.m));
  // Rows of a few too many above 1/2 begin with those above 3/4: nearly all of the rest.
  const auto rows = entries_above(l, inside, nowhere, nm.n, 0.5f) | entries_above(l, inside, nowhere, nm.n, 0.75f);
  mask_bits<L> mask{rows, L::transpose(rows)};
  auto offered = mask.cols | where(!inside, typename L::bits(~tile_set(0)));
  tile_set done = 0;  // rows that have offered all
  while (true) {
    const tile_set surplus = L::ballot(L::count(mask.cols) > index(nm.n));
    const tile_set open = L::ballot((L::count(mask.rows) < index(nm.n)) & inside) & ~done;
    if ((surplus | open) == 0) return mask;
    if (surplus != 0)
      drop_worst(l, mask, L::first(surplus));
    else if (const int i = L::first(open); !offer_best(l, mask, offered, i))
      done |= tile_set(1) << i;
  }
}

// The greedy rounding: entries in descending order of the plan (ties: row-major), each kept if its row and its column
// have room. Rows and columns rank their entries in one common order, so the greedy choice is the one stable
// b-matching, and deferred acceptance finds it: a row with room offers its best entry not offered before, a column
// keeps the best n of what it was offered. The order of offers makes no difference.
template <class L>
TSENOR_STAGE mask_bits<L> greedy(L& l, pattern nm) {
  if constexpr (L::holds_tile)
    return accepted_by_rounds(l, nm);
  else
    return accepted_one_by_one(l, nm);
}

// The best swap for a row i and a column j that lack an entry: (row, col) leaves, (i, col) and (row, j) come.
struct swap {
  int row, col;
  float gain;
};
template <class L>
TSENOR_FN swap best_swap(L& l, const mask_bits<L>& mask, pattern nm, int i, int j) {
  using real = typename L::real;
  const auto row_i = L::at(mask.rows, i);
  const auto candidates = mask.rows - typename L::bits(row_i);
  real best = absent;
  typename L::index col = 0;
  for (int k = 0; k < nm.m; k++) {
    const real gain = real(l.importance.element(i, k)) - l.importance.row_entry(k);
    const auto better = candidates.test(k) & (gain > best);
    best = pick(better, gain, best);
    col = pick(better, typename L::index(k), col);
  }
  const auto possible = (best > real(absent)) & !mask.rows.test(j);
  const real gain = pick(possible, best + l.importance.row_entry(j), real(absent));
  const float most = L::tile_largest(gain);
  const int row = L::first(L::ballot(gain == real(most)));
  return {row, L::at(col, row), most};
}

template <class L>
TSENOR_FN void apply_swap(mask_bits<L>& mask, const swap& s, int i, int j, bool wanted) {
  using bits = typename L::bits;
  using index = typename L::index;
  const auto me = L::lane();
  const auto is = [&](int k) { return (me == index(k)) & wanted; };
  mask.rows = (mask.rows - bits::one(index(s.col), is(s.row))) | bits::one(index(j), is(s.row)) |
              bits::one(index(s.col), is(i));
  mask.cols = (mask.cols - bits::one(index(s.row), is(s.col))) | bits::one(index(s.row), is(j)) |
              bits::one(index(i), is(s.col));
}

// Local search: swaps that gain, for the first row and the first column that lack an entry, up to `steps` of them. With
// `complete`, swaps go on, at a loss if need be, until every row and column has n.
//
// There always is one: after the greedy rounding an entry (i', j) that is free in a column j with room lies in a full
// row i', which has n entries and so one outside the fewer than n columns of a row i with room. A swap keeps that so,
// fills one place in row i and one in column j, and leaves all other counts, so the swaps end.
template <class L>
TSENOR_STAGE int local_search(L& l, mask_bits<L>& mask, pattern nm, int steps, bool complete) {
  using index = typename L::index;
  const auto inside = L::lane() < index(nm.m);
  bool open = true;
  int moves = 0;
  while (true) {
    const auto short_rows = L::ballot((L::count(mask.rows) < index(nm.n)) & inside);
    const auto short_cols = L::ballot((L::count(mask.cols) < index(nm.n)) & inside);
    open = open && short_rows != 0 && (complete || moves < steps);
    if (!L::any_tile(open)) return moves;
    const int i = L::first(short_rows), j = L::first(short_cols);
    const swap s = best_swap(l, mask, nm, i, j);
    open = open && (complete || s.gain > 0.f);
    apply_swap<L>(mask, s, i, j, open);
    moves += open;
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
