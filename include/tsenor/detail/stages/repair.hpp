// repair: shortest augmenting paths make the columns exact, and the mask the optimum.
//
// Rows have their best at the prices u, v, so kept entries have w + u + v >= 0 and free ones <= 0, and the problem without column
// quotas is solved. In the residual graph arcs lead from column j to row i over a kept entry, which is given up at the cost
// w + u + v, and from row i to column k over a free one, taken at -(w + u + v): no cost is negative. Moving one unit from a
// column with too many entries to one with too few along a shortest path, and then every price by the length of the path to
// its vertex (no further than to the column that was reached), keeps it so (successive shortest paths, Dijkstra's algorithm on
// reduced costs: Edmonds and Karp 1972, Tomizawa 1971). When no column is off, mask and prices prove each other optimal.
//
// Where rows and columns may keep fewer than n, a hub, whose price is 0, stands for not keeping: a row may exchange an entry
// for a unit of slack at -u, a column may be filled by slack at -v, both may give slack up at no cost, since their price
// is 0 then; a path may end at the hub, and where no column has too many left, it begins there.
//
// Ends: integers have no rounding. A search settles each vertex at most once; a source and a sink are always two arcs apart (a column
// with more entries has a row that one with fewer lacks), at a cost of at most 2 C in the first prices, which bounds all
// lengths; and each search mends one unit. So there is no limit on the searches, and the mask is always the optimum of the
// integer weights. Ties do no harm: a vertex is only ever reached from one that was settled before it.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_REPAIR_STAGE)
#define TSENOR_REPAIR_STAGE

#include "tsenor/detail/stages/price.hpp"
#include "tsenor/detail/stages/round.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int unreached = (1 << 30) - 1;  // more than any length, which is below 6 C < 2^30

// The mask while it is repaired: entries and slack of every row add up to its quota.
template <class L>
struct partial_mask {
  mask_bits<L> kept;
  typename L::index row_slack, col_slack;
};

// Lengths of the shortest paths found so far, in lane i to row i and in lane j to column j, and the vertices before them: a
// column before a row, a row before a column, or the hub. `open` holds the same lengths, but of settled vertices none.
template <class L>
struct paths {
  typename L::index row, col, open_row, open_col, row_from, col_from;
  int hub, hub_from;  // row i, or width + j for column j
};
template <class L>
constexpr int from_hub = L::width;

// Where a search ended: at a column, or at the hub.
struct arrival {
  int column, length;
  bool at_hub;
};

template <class L>
TSENOR_FN typename L::index imbalance(const partial_mask<L>& m, const quotas<L>& q) {
  return L::count(m.kept.cols) + m.col_slack - q.col;
}

// Settles row (or column) x at `length` and follows the arcs from it.
template <bool Row, class L>
TSENOR_FN void settle(L& l, const partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q, int x, int length,
                      bool wanted, bool may_end_at_hub, paths<L>& d) {
  using index = typename L::index;
  const index zero = 0;
  const int price = L::at(Row ? p.row : p.col, x);
  const index surplus = l.weights.template entry<!Row>(x) + (Row ? p.col : p.row) + index(price);
  const auto kept = (Row ? m.kept.cols : m.kept.rows).test(x);
  const index reached = Row ? index(length) - surplus : index(length) + surplus;
  index& to = Row ? d.col : d.row;
  index& open = Row ? d.open_col : d.open_row;
  index& from = Row ? d.col_from : d.row_from;
  auto nearer = (reached < to) & (Row ? !kept : kept) & wanted;
  if constexpr (!L::plain) nearer = nearer & ((Row ? q.col : q.row) > zero);
  to = pick(nearer, reached, to);
  open = pick(nearer, reached, open);
  from = pick(nearer, index(x), from);
  index& settled = Row ? d.open_row : d.open_col;
  settled = pick((L::lane() == index(x)) & wanted, index(unreached), settled);
  if constexpr (!L::plain) {
    const bool arc = Row || L::at(m.col_slack, x) > 0;
    const int hub = Row ? length - price : length + price;
    if (may_end_at_hub && wanted && arc && hub < d.hub) {
      d.hub = hub;
      d.hub_from = Row ? x : L::width + x;
    }
  }
}

// The state before a search: columns with too many entries are sources, or else the hub is, one arc from the rows and columns.
template <class L>
TSENOR_FN paths<L> sources_of(const partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q,
                              const typename L::flag& source, bool at_hub) {
  using index = typename L::index;
  const index zero = 0, none = unreached;
  index row = none, col = pick(source, zero, none);
  if constexpr (!L::plain) {
    row = pick((m.row_slack > zero) & at_hub, p.row, row);
    col = pick((q.col > zero) & at_hub, zero - p.col, col);
  }
  const index hub = from_hub<L>;
  return {row, col, row, col, hub, hub, unreached, 0};
}

// Dijkstra's algorithm until a sink is settled. Of vertices equally near, sinks come first, then rows, which lead to sinks.
template <class L>
TSENOR_FN arrival search(L& l, const partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q,
                         const typename L::flag& sink, bool open, bool at_hub, paths<L>& d, int& settled) {
  using index = typename L::index;
  const bool may_end_at_hub = q.at_most && !at_hub;
  arrival end{0, 0, false};
  while (true) {
    const int nearest = L::tile_smallest(smallest(d.open_row, d.open_col));
    const index length = nearest;
    const auto ends = L::ballot((d.open_col == length) & sink);
    const bool hub_is_nearest = !L::plain && may_end_at_hub && d.hub <= nearest;
    if (open && (ends != 0 || hub_is_nearest)) {
      end = {L::first(ends), hub_is_nearest ? d.hub : nearest, hub_is_nearest};
      open = false;
    }
    if (!L::any_tile(open)) return end;
    settled += open;
    const auto rows = L::ballot(d.open_row == length), cols = L::ballot(d.open_col == length);
    const bool row = open && rows != 0, col = open && rows == 0;
    if (L::any_tile(row)) settle<true>(l, m, p, q, L::first(rows), nearest, row, may_end_at_hub, d);
    if (L::any_tile(col)) settle<false>(l, m, p, q, L::first(cols), nearest, col, may_end_at_hub, d);
  }
}

// Every price moves by the length of the path to its vertex, so that arcs on the paths cost nothing and none less, and the
// hub's price stays 0.
template <class L>
TSENOR_FN void move_prices(const paths<L>& d, const arrival& end, const quotas<L>& q, bool at_hub, fixed_prices<L>& p) {
  using index = typename L::index;
  const index length = end.length, zero = 0;
  const index shift = at_hub ? zero : length;
  const index row = p.row + shift - smallest(d.row, length), col = p.col - shift + smallest(d.col, length);
  p.row = L::plain ? row : pick(q.row > zero, row, zero);
  p.col = L::plain ? col : pick(q.col > zero, col, zero);
}

// Moves a unit backwards along the path, from the arrival to a source.
template <class L>
TSENOR_FN void augment(partial_mask<L>& m, const paths<L>& d, const arrival& end, typename L::tile_set sources,
                       bool walking) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index me = L::lane(), one = 1, zero = 0;
  const auto is = [&](int k, bool wanted) { return (me == index(k)) & wanted; };
  int col = end.column;
  bool from_slack = false;  // what the path did last was to make a unit of slack, not to take an entry
  if constexpr (!L::plain) {
    from_slack = walking && end.at_hub && d.hub_from < L::width;
    const bool empties = walking && end.at_hub && !from_slack;
    if (end.at_hub) col = d.hub_from & (L::width - 1);  // the column that gives up slack; not read if it is a row
    m.col_slack = m.col_slack - pick(is(col, empties), one, zero);
    m.row_slack = m.row_slack + pick(is(d.hub_from, from_slack), one, zero);
  }
  while (true) {
    walking = walking && (from_slack || !(sources >> col & 1u));
    if (!L::any_tile(walking)) return;
    const int row_before = L::at(d.col_from, col), row = from_slack ? d.hub_from : row_before;
    const int before = L::at(d.row_from, row & (L::width - 1));
    const bool row_is_hub = !L::plain && row == from_hub<L>, col_is_hub = !L::plain && before == from_hub<L>;
    const bool takes = walking && !row_is_hub && !from_slack, gives = walking && !row_is_hub && !col_is_hub;
    m.kept.rows = m.kept.rows ^ bits::one(index(col), is(row, takes)) ^ bits::one(index(before), is(row, gives));
    m.kept.cols = m.kept.cols ^ bits::one(index(row), is(col, takes) | is(before, gives));
    if constexpr (!L::plain) {
      m.col_slack = m.col_slack + pick(is(col, walking && row_is_hub), one, zero);
      m.row_slack = m.row_slack - pick(is(row, walking && !row_is_hub && col_is_hub), one, zero);
      walking = walking && !row_is_hub && !col_is_hub;
      from_slack = false;
    }
    col = before;
  }
}

// The optimal mask from the rows' best entries; p becomes the prices that prove it.
template <class L>
TSENOR_STAGE void repair(L& l, partial_mask<L>& m, fixed_prices<L>& p, const quotas<L>& q, effort& spent) {
  const typename L::index zero = 0;
  while (true) {
    const auto off = imbalance(m, q);
    const auto source = off > zero, sink = off < zero;
    const auto sources = L::ballot(source), sinks = L::ballot(sink);
    const bool at_hub = q.at_most && sources == 0, open = sources != 0 || (q.at_most && sinks != 0);
    if (!L::any_tile(open)) return;
    paths<L> d = sources_of(m, p, q, source, at_hub);
    const arrival end = search(l, m, p, q, sink, open, at_hub, d, spent.iterations);
    move_prices(d, end, q, at_hub, p);
    augment(m, d, end, sources, open);
    spent.moves += open;
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
