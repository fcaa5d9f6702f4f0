// repair: shortest augmenting paths make the columns exact, and the mask the optimum.
//
// Rows have their best at the prices u, v, so kept entries have w + u + v >= 0 and free ones <= 0, and the problem
// without column quotas is solved. In the residual graph arcs lead from column j to row i over a kept entry, which is
// given up at the cost w + u + v, and from row i to column k over a free one, taken at -(w + u + v): no cost is
// negative. Moving one unit from a column with too many entries to one with too few along a shortest path, and then
// every price by the length of the path to its vertex (no further than to the column that was reached), keeps it so
// (successive shortest paths, Dijkstra's algorithm on reduced costs: Edmonds and Karp 1972, Tomizawa 1971). When no
// column is off, mask and prices prove each other optimal.
//
// Where rows and columns may keep fewer than n, a hub, whose price is 0, stands for not keeping: a row may exchange an
// entry for a unit of slack at -u, a column may be filled by slack at -v, both may give slack up at no cost, since
// their price is 0 then; a path may end at the hub, and where no column has too many left, it begins there.
//
// Ends: integers have no rounding. A search settles each vertex at most once; a source and a sink are always two arcs
// apart (a column with more entries has a row that one with fewer lacks), at a cost of at most 2 C in the first prices,
// which bounds all lengths; and each search mends one unit. So there is no limit on the searches, and the mask is
// always the optimum of the integer weights. Ties do no harm: a vertex is only ever reached from one that was settled
// before it.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int unreached = 1 << 28;  // more than the way to any sink, which is at most 2 C

// The mask while it is repaired: entries and slack of every row add up to its quota.
template <class L>
struct partial_mask {
  mask_bits<L> kept;
  typename L::index row_slack, col_slack;
};

// What comes first of vertices that are equally near: sinks, then rows, which lead to sinks.
enum vertex_kind { sink_column, a_row, a_column };

// The shortest paths found so far to the rows, or to the columns: their lengths, and the vertices before their ends:
// columns before rows, rows before columns, or the hub. A key is 4 length + kind, or more than any other where a vertex
// is not reached or is settled.
template <class L>
struct paths_to {
  typename L::index length, from, key;
};

// All that a search has found.
template <class L>
struct paths {
  paths_to<L> row, col;
  int hub, hub_from;  // row i, or width + j for column j
};
template <class L>
constexpr int from_hub = L::width;
constexpr int no_key = 4 * unreached + 3;

// Where a search ended: at a column, or at the hub.
struct arrival {
  int column, length;
  bool at_hub;
};

// What a search is about.
template <class L>
struct search_frame {
  const partial_mask<L>& mask;
  const fixed_prices<L>& prices;
  const quotas<L>& quota;
  typename L::index col_kind;  // sink_column or a_column
  bool may_end_at_hub;
};

template <class L>
TSENOR_FN typename L::index imbalance(const partial_mask<L>& mask, const quotas<L>& quota) {
  return L::count(mask.kept.cols) + mask.col_slack - quota.col;
}

// What a search settles next: row or column x, `length` away. Nothing comes of it where the search is not `open`: it
// has ended, and only those of other tiles go on. `is_row` is a bool, or a fixed_bool where all that runs together
// agrees on it.
template <class Bool>
struct vertex {
  Bool is_row;
  int x, length;
  bool open;
};

// Ways to columns through a row, or to rows through a column.
template <class L>
struct ways {
  typename L::index length;
  typename L::flag shorter;  // than the path found so far
};

// From a column to rows, over entries that are kept; from a row to columns, over free ones. `price` is that of the
// vertex.
template <class L, class Bool>
TSENOR_FN ways<L> ways_through(L& l, const search_frame<L>& f, const vertex<Bool>& v, int price, const paths<L>& d) {
  using index = typename L::index;
  const index surplus = l.weights.arcs_of(v.is_row, v.x) + (v.is_row ? f.prices.col : f.prices.row) + index(price);
  const index length = v.is_row ? index(v.length) - surplus : index(v.length) + surplus;
  const auto kept = (v.is_row ? f.mask.kept.cols : f.mask.kept.rows).test(v.x);
  auto shorter = (length < (v.is_row ? d.col : d.row).length) & (v.is_row ? !kept : kept) & v.open;
  if constexpr (!L::plain) shorter = shorter & ((v.is_row && !L::exactly ? f.quota.col : f.quota.row) > index(0));
  return {length, shorter};
}

// Columns, or rows, take the ways through x that are shorter than theirs; what is settled is looked for no more.
template <class L>
TSENOR_FN void take_shorter(const ways<L>& through, int x, const typename L::index& kind,
                            const typename L::flag& settled, paths_to<L>& to) {
  using index = typename L::index;
  const index unit = 4;
  to.length = pick(through.shorter, through.length, to.length);
  to.from = pick(through.shorter, index(x), to.from);
  to.key = pick(through.shorter, through.length * unit + kind, pick(settled, index(no_key), to.key));
}

// From a row to the hub, for a unit of slack; from a column, if it has slack to give up.
template <class L, class Bool>
TSENOR_FN void reach_hub(const search_frame<L>& f, const vertex<Bool>& v, int price, paths<L>& d) {
  const bool arc = L::at(f.mask.col_slack, v.x) > 0 || v.is_row;
  const int length = v.is_row ? v.length - price : v.length + price;
  if (f.may_end_at_hub && v.open && arc && length < d.hub) {
    d.hub = length;
    d.hub_from = v.is_row ? v.x : L::width + v.x;
  }
}

// Follows the arcs from what is settled: from a row to columns, from a column to rows, from both to the hub.
template <class L, class Bool>
TSENOR_FN void settle(L& l, const search_frame<L>& f, const vertex<Bool>& v, paths<L>& d) {
  const int price = L::at(v.is_row ? f.prices.row : f.prices.col, v.x);
  const ways<L> on = ways_through(l, f, v, price, d);
  const auto settled = (L::lane() == typename L::index(v.x)) & v.open;
  take_shorter<L>({on.length, on.shorter & bool(v.is_row)}, v.x, f.col_kind, settled & !v.is_row, d.col);
  take_shorter<L>({on.length, on.shorter & !v.is_row}, v.x, a_row, settled & bool(v.is_row), d.row);
  if constexpr (!L::exactly) reach_hub(f, v, price, d);
}

// The state before a search: columns with too many entries are sources, or else the hub is, one arc from the rows and
// columns.
template <class L>
TSENOR_FN paths<L> sources_of(const search_frame<L>& f, const typename L::flag& source, bool at_hub) {
  using index = typename L::index;
  const index zero = 0, none = unreached, unit = 4, hub = from_hub<L>;
  index row = none, col = pick(source, zero, none);
  if constexpr (!L::exactly) {
    row = pick((f.mask.row_slack > zero) & at_hub, f.prices.row, row);
    col = pick((f.quota.col > zero) & at_hub, zero - f.prices.col, col);
  }
  return {{row, hub, row * unit + index(a_row)}, {col, hub, col * unit + f.col_kind}, unreached, 0};
}

// Dijkstra's algorithm until a sink is settled.
template <class L>
TSENOR_FN arrival search(L& l, const search_frame<L>& f, bool open, paths<L>& d, int& settled) {
  using index = typename L::index;
  arrival end{0, 0, false};
  while (true) {
    const int key = L::tile_smallest(smallest(d.row.key, d.col.key)), length = key >> 2, kind = key & 3;
    const int x = L::first(L::ballot((d.row.key == index(key)) | (d.col.key == index(key))));
    const bool hub_is_nearest = f.may_end_at_hub && d.hub <= length;
    if (open && (kind == sink_column || hub_is_nearest)) {
      end = {x, hub_is_nearest ? d.hub : length, hub_is_nearest};
      open = false;
    }
    if (!L::any_tile(open)) return end;
    settled += open;
    if constexpr (L::one_tile) {
      if (kind == a_row)
        settle(l, f, vertex<fixed_bool<true>>{{}, x, length, open}, d);
      else
        settle(l, f, vertex<fixed_bool<false>>{{}, x, length, open}, d);
    } else {
      settle(l, f, vertex<bool>{kind == a_row, x, length, open}, d);
    }
  }
}

// Every price moves by the length of the path to its vertex, so that arcs on the paths cost nothing and none less, and
// the hub's price stays 0.
template <class L>
TSENOR_FN void move_prices(const paths<L>& d, const arrival& end, const quotas<L>& quota, bool at_hub,
                           fixed_prices<L>& prices) {
  using index = typename L::index;
  const index length = end.length, zero = 0;
  const index shift = at_hub ? zero : length;
  const index row = prices.row + shift - smallest(d.row.length, length),
              col = prices.col - shift + smallest(d.col.length, length);
  prices.row = L::plain ? row : pick(quota.row > zero, row, zero);
  prices.col = L::plain ? col : pick(quota.col > zero, col, zero);
}

// Moves a unit backwards along the path, from the arrival to a source.
template <class L>
TSENOR_FN void augment(partial_mask<L>& mask, const paths<L>& d, const arrival& end, typename L::tile_set sources,
                       bool walking) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index me = L::lane(), one = 1, zero = 0;
  const auto is = [&](int k, bool wanted) { return (me == index(k)) & wanted; };
  int col = end.column;
  bool from_slack = false;  // what the path did last was to make a unit of slack, not to take an entry
  if constexpr (!L::exactly) {
    from_slack = walking && end.at_hub && d.hub_from < L::width;
    const bool empties = walking && end.at_hub && !from_slack;
    if (end.at_hub) col = d.hub_from & (L::width - 1);  // the column that gives up slack; not read if it is a row
    mask.col_slack = mask.col_slack - pick(is(col, empties), one, zero);
    mask.row_slack = mask.row_slack + pick(is(d.hub_from, from_slack), one, zero);
  }
  while (true) {
    walking = walking && (from_slack || !(sources >> col & 1u));
    if (!L::any_tile(walking)) return;
    const int row_before = L::at(d.col.from, col), row = from_slack ? d.hub_from : row_before;
    const int before = L::at(d.row.from, row & (L::width - 1));
    const bool row_is_hub = !L::exactly && row == from_hub<L>, col_is_hub = !L::exactly && before == from_hub<L>;
    const bool takes = walking && !row_is_hub && !from_slack, gives = walking && !row_is_hub && !col_is_hub;
    mask.kept.rows = mask.kept.rows ^ bits::one(index(col), is(row, takes)) ^ bits::one(index(before), is(row, gives));
    mask.kept.cols = mask.kept.cols ^ bits::one(index(row), is(col, takes) | is(before, gives));
    if constexpr (!L::exactly) {
      mask.col_slack = mask.col_slack + pick(is(col, walking && row_is_hub), one, zero);
      mask.row_slack = mask.row_slack - pick(is(row, walking && !row_is_hub && col_is_hub), one, zero);
      walking = walking && !row_is_hub && !col_is_hub;
      from_slack = false;
    }
    col = before;
  }
}

// The optimal mask from the rows' best entries; p becomes the prices that prove it.
template <class L>
TSENOR_STAGE void repair(L& l, partial_mask<L>& mask, fixed_prices<L>& prices, const quotas<L>& quota, effort& spent) {
  const typename L::index zero = 0;
  while (true) {
    const auto off = imbalance(mask, quota);
    const auto source = off > zero, sink = off < zero;
    const auto sources = L::ballot(source), sinks = L::ballot(sink);
    const bool at_hub = quota.at_most && sources == 0, open = sources != 0 || (quota.at_most && sinks != 0);
    if (!L::any_tile(open)) return;
    const search_frame<L> frame{mask, prices, quota, pick(sink, zero, typename L::index(a_column)),
                                quota.at_most && !at_hub};
    paths<L> d = sources_of(frame, source, at_hub);
    const arrival end = search(l, frame, open, d, spent.iterations);
    move_prices(d, end, quota, at_hub, prices);
    augment(mask, d, end, sources, open);
    spent.moves += open;
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
