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

// Lengths of the shortest paths found so far, in lane i to row i and in lane j to column j, and the vertices before them: a
// column before a row, a row before a column, or the hub. A key is 4 length + kind, or more than any while a vertex is not reached or
// when it is settled.
template <class L>
struct paths {
  typename L::index row, col, row_key, col_key, row_from, col_from;
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

// Settles row or column x at `length` and follows the arcs from it. `is_row` is a bool, or a fixed_bool where all that
// runs together agrees on it.
template <class L, class Bool>
TSENOR_FN void settle(L& l, const search_frame<L>& f, Bool is_row, int x, int length, bool wanted, paths<L>& d) {
  using index = typename L::index;
  const partial_mask<L>& mask = f.mask;
  const index unit = 4;
  const int price = L::at(is_row ? f.prices.row : f.prices.col, x);
  const index surplus = l.weights.arcs_of(is_row, x) + (is_row ? f.prices.col : f.prices.row) + index(price);
  const index reached = is_row ? index(length) - surplus : index(length) + surplus;
  const auto kept = (is_row ? mask.kept.cols : mask.kept.rows).test(x);
  auto nearer = (reached < (is_row ? d.col : d.row)) & (is_row ? !kept : kept) & wanted;
  if constexpr (!L::plain) nearer = nearer & ((is_row ? f.quota.col : f.quota.row) > index(0));
  const auto col_nearer = nearer & bool(is_row), row_nearer = nearer & !is_row,
             settled = (L::lane() == index(x)) & wanted;
  d.col = pick(col_nearer, reached, d.col);
  d.col_from = pick(col_nearer, index(x), d.col_from);
  d.col_key = pick(col_nearer, reached * unit + f.col_kind, pick(settled & !is_row, index(no_key), d.col_key));
  d.row = pick(row_nearer, reached, d.row);
  d.row_from = pick(row_nearer, index(x), d.row_from);
  d.row_key = pick(row_nearer, reached * unit + index(a_row), pick(settled & bool(is_row), index(no_key), d.row_key));
  if constexpr (!L::plain) {
    const bool arc = L::at(mask.col_slack, x) > 0 || is_row;
    const int hub = is_row ? length - price : length + price;
    if (f.may_end_at_hub && wanted && arc && hub < d.hub) {
      d.hub = hub;
      d.hub_from = is_row ? x : L::width + x;
    }
  }
}

// The state before a search: columns with too many entries are sources, or else the hub is, one arc from the rows and columns.
template <class L>
TSENOR_FN paths<L> sources_of(const search_frame<L>& f, const typename L::flag& source, bool at_hub) {
  using index = typename L::index;
  const index zero = 0, none = unreached, unit = 4, hub = from_hub<L>;
  index row = none, col = pick(source, zero, none);
  if constexpr (!L::plain) {
    row = pick((f.mask.row_slack > zero) & at_hub, f.prices.row, row);
    col = pick((f.quota.col > zero) & at_hub, zero - f.prices.col, col);
  }
  return {row, col, row * unit + index(a_row), col * unit + f.col_kind, hub, hub, unreached, 0};
}

// Dijkstra's algorithm until a sink is settled.
template <class L>
TSENOR_FN arrival search(L& l, const search_frame<L>& f, bool open, paths<L>& d, int& settled) {
  using index = typename L::index;
  arrival end{0, 0, false};
  while (true) {
    const int key = L::tile_smallest(smallest(d.row_key, d.col_key)), length = key >> 2, kind = key & 3;
    const int x = L::first(L::ballot((d.row_key == index(key)) | (d.col_key == index(key))));
    const bool hub_is_nearest = f.may_end_at_hub && d.hub <= length;
    if (open && (kind == sink_column || hub_is_nearest)) {
      end = {x, hub_is_nearest ? d.hub : length, hub_is_nearest};
      open = false;
    }
    if (!L::any_tile(open)) return end;
    settled += open;
    if constexpr (L::one_tile) {
      if (kind == a_row)
        settle(l, f, fixed_bool<true>{}, x, length, open, d);
      else
        settle(l, f, fixed_bool<false>{}, x, length, open, d);
    } else {
      settle(l, f, kind == a_row, x, length, open, d);
    }
  }
}

// Every price moves by the length of the path to its vertex, so that arcs on the paths cost nothing and none less, and the
// hub's price stays 0.
template <class L>
TSENOR_FN void move_prices(const paths<L>& d, const arrival& end, const quotas<L>& quota, bool at_hub,
                           fixed_prices<L>& prices) {
  using index = typename L::index;
  const index length = end.length, zero = 0;
  const index shift = at_hub ? zero : length;
  const index row = prices.row + shift - smallest(d.row, length), col = prices.col - shift + smallest(d.col, length);
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
  if constexpr (!L::plain) {
    from_slack = walking && end.at_hub && d.hub_from < L::width;
    const bool empties = walking && end.at_hub && !from_slack;
    if (end.at_hub) col = d.hub_from & (L::width - 1);  // the column that gives up slack; not read if it is a row
    mask.col_slack = mask.col_slack - pick(is(col, empties), one, zero);
    mask.row_slack = mask.row_slack + pick(is(d.hub_from, from_slack), one, zero);
  }
  while (true) {
    walking = walking && (from_slack || !(sources >> col & 1u));
    if (!L::any_tile(walking)) return;
    const int row_before = L::at(d.col_from, col), row = from_slack ? d.hub_from : row_before;
    const int before = L::at(d.row_from, row & (L::width - 1));
    const bool row_is_hub = !L::plain && row == from_hub<L>, col_is_hub = !L::plain && before == from_hub<L>;
    const bool takes = walking && !row_is_hub && !from_slack, gives = walking && !row_is_hub && !col_is_hub;
    mask.kept.rows = mask.kept.rows ^ bits::one(index(col), is(row, takes)) ^ bits::one(index(before), is(row, gives));
    mask.kept.cols = mask.kept.cols ^ bits::one(index(row), is(col, takes) | is(before, gives));
    if constexpr (!L::plain) {
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
