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
// their price is 0 then; a path may end at the hub, and where no column has too many left, it begins there. Those are
// looked for against the arcs, from the columns with too few entries, unless less than twice as many rows have slack.
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

// What comes first of vertices that are equally near: those where a search ends, then rows, which lead to them.
enum vertex_kind { an_end, a_row, a_column };

// The shortest paths found so far to the rows, or to the columns: their lengths, and the vertices before their ends:
// columns before rows, rows before columns, or the hub. A key is 4 length + kind, or more than any other where a vertex
// is not reached or is settled.
template <class L>
struct paths_to {
  typename L::index length, from, key;
};

// All that a search has found. `hub` has the keys of the ways to the hub from each row or, against the arcs, column.
template <class L>
struct paths {
  paths_to<L> row, col;
  typename L::index hub;
};
template <class L>
constexpr int no_vertex = L::width;  // before a source
constexpr int no_key = 4 * unreached + 3;

// Where a search ended: at row or column x, or from it at the hub.
struct arrival {
  int x, length;
  bool at_hub;
};

// At the row or column x, which has this key, or from one that has it on the way to the hub, if there is one.
template <class L>
TSENOR_FN arrival arrival_of(const paths<L>& d, int key, int x, bool wanted) {
  const int length = wanted ? key >> 2 : 0;
  if constexpr (L::exactly) return {x, length, false};
  const auto by_hub = L::ballot(d.hub == typename L::index(key));
  return {by_hub != 0 ? L::first(by_hub) : x, length, by_hub != 0};
}

// What a search is about. Back: a bool, or a fixed_bool. Where lanes run together, they look for the hub in any case.
template <class L, class Back>
struct search_frame {
  const partial_mask<L>& mask;
  const fixed_prices<L>& prices;
  const quotas<L>& quota;
  typename L::index row_kind, col_kind;  // an_end or not
  typename L::index to_hub;              // 4 times the way from a row or, against the arcs, a column; or too far
  Back back;                             // against the arcs
  bool from_hub, may_end_at_hub;
  TSENOR_FN bool looks_for_hub() const { return !L::exactly && (may_end_at_hub || !L::one_at_a_time); }
};

// What a search settles next: row or column x, `length` away. Nothing comes of it where the search is not `open`: it
// has ended, and only those of other tiles go on. `is_row` is a bool, or a fixed_bool where all that runs together
// agrees on it.
template <class L, class Bool>
struct vertex {
  Bool is_row;
  int x, length;
  bool open;
  typename L::tile_set alone;  // {x}
};

// Ways to columns through a row, or to rows through a column.
template <class L>
struct ways {
  typename L::index length;
  typename L::flag shorter;  // than the path found so far
};

// From a column to rows, over entries that are kept; from a row to columns, over free ones; against the arcs the other
// way round. `price` is that of the vertex.
template <class L, class Back, class Bool>
TSENOR_FN ways<L> ways_through(L& l, const search_frame<L, Back>& f, const vertex<L, Bool>& v, int price,
                               const paths<L>& d) {
  using index = typename L::index;
  const index surplus = l.weights.arcs_of(v.is_row, v.x) + (v.is_row ? f.prices.col : f.prices.row) + index(price);
  const auto kept = (v.is_row ? f.mask.kept.cols : f.mask.kept.rows).test(v.x, v.alone);
  const bool over_free = bool(v.is_row) != bool(f.back);
  const index length = over_free ? index(v.length) - surplus : index(v.length) + surplus;
  auto shorter = (length < (v.is_row ? d.col : d.row).length) & (over_free ? !kept : kept) & v.open;
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

// Follows the arcs from what is settled: from a row to columns, from a column to rows, and from rows, which make a unit
// of slack, or, against the arcs, from columns, which are filled, to the hub.
template <class L, class Back, class Bool>
TSENOR_FN void settle(L& l, const search_frame<L, Back>& f, const vertex<L, Bool>& v, paths<L>& d) {
  using index = typename L::index;
  const int price = L::at(v.is_row ? f.prices.row : f.prices.col, v.x);
  const ways<L> on = ways_through(l, f, v, price, d);
  const auto settled = (L::lane() == index(v.x)) & v.open;
  take_shorter<L>({on.length, on.shorter & bool(v.is_row)}, v.x, f.col_kind, settled & !v.is_row, d.col);
  take_shorter<L>({on.length, on.shorter & !v.is_row}, v.x, f.row_kind, settled & bool(v.is_row), d.row);
  if (f.looks_for_hub()) {
    const auto may_end = on.shorter & (bool(v.is_row) == bool(f.back));
    d.hub = pick(may_end, on.length * index(4) + f.to_hub, d.hub);
  }
}

// The state before a search from some columns, or from the hub, one arc from the rows and columns.
template <class L, class Back>
TSENOR_FN paths<L> paths_from(const typename L::flag& sources, const search_frame<L, Back>& f) {
  using index = typename L::index;
  const index far = unreached, before = no_vertex<L>, zero = 0, unit = 4;
  index row = far, col = pick(sources, zero, far);
  if constexpr (!L::exactly) {
    row = pick((f.mask.row_slack > zero) & f.from_hub, zero, row);
    col = pick((f.quota.col > zero) & f.from_hub, zero - f.prices.col, col);
  }
  const index hub = pick(sources & bool(f.back), f.to_hub, index(no_key));
  return {{row, before, row * unit + f.row_kind}, {col, before, col * unit + f.col_kind}, hub};
}

// Dijkstra's algorithm until one of the ends is the nearest.
template <class L, class Back>
TSENOR_FN arrival search(L& l, const search_frame<L, Back>& f, const bool wanted, paths<L>& d, int& settled) {
  using index = typename L::index;
  [[maybe_unused]] bool open = wanted;
  while (true) {
    const index nearest = smallest(d.row.key, d.col.key),
                least = f.looks_for_hub() ? smallest(nearest, d.hub) : nearest;
    const int key = L::tile_smallest(least), length = key >> 2;
    const bool is_row = (key & a_column) == 0;
    const typename L::tile_set alone = lowest_of(L::ballot(least == index(key)));
    const int x = L::last(alone);
    const bool ends = (key & 3) == an_end;
    if constexpr (L::one_tile) {
      if (ends) return arrival_of<L>(d, key, x, true);
      settled++;
      if (is_row)
        settle(l, f, vertex<L, fixed_bool<true>>{{}, x, length, true, alone}, d);
      else
        settle(l, f, vertex<L, fixed_bool<false>>{{}, x, length, true, alone}, d);
    } else {
      open = open && !ends;
      if (!L::any_tile(open)) return arrival_of<L>(d, key, x, wanted);
      settled += open;
      settle(l, f, vertex<L, bool>{is_row, x, length, open, alone}, d);
    }
  }
}

// Every price moves by the length of the path to its vertex, so that arcs on the paths cost nothing and none less, and
// the hub's price stays 0.
template <class L, class Back>
TSENOR_FN void move_prices(const paths<L>& d, int length, const search_frame<L, Back>& f, fixed_prices<L>& prices) {
  using index = typename L::index;
  const index most = length, zero = 0, end = f.from_hub ? zero : most, by_row = end - smallest(d.row.length, most),
              by_col = end - smallest(d.col.length, most);
  const index row = f.back ? prices.row - by_row : prices.row + by_row,
              col = f.back ? prices.col + by_col : prices.col - by_col;
  prices.row = L::plain ? row : pick(f.quota.row > zero, row, zero);
  prices.col = L::plain ? col : pick(f.quota.col > zero, col, zero);
}

// The slack that changes where a path ends. Returns whether that is at a row, which has made the unit that the path
// moves or, against the arcs, gives it up.
template <class L, class Back>
TSENOR_FN bool change_slack(partial_mask<L>& mask, const search_frame<L, Back>& f, const arrival& end, bool open) {
  using index = typename L::index;
  const index zero = 0, one = 1;
  const bool at_row = end.at_hub != bool(f.back);
  const auto here = (L::lane() == index(end.x)) & open;
  const index made = f.back ? index(-1) : one, used = f.back ? made : pick(mask.col_slack > zero, one, zero);
  mask.row_slack = mask.row_slack + pick(here & at_row, made, zero);
  mask.col_slack = mask.col_slack - pick(here & !at_row & !f.from_hub, used, zero);
  return at_row && open;
}

// Moves a unit along the path, from where it ends to a source.
template <class L, class Back>
TSENOR_FN void augment(partial_mask<L>& mask, const paths<L>& d, const search_frame<L, Back>& f, const arrival& end,
                       bool walking) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index me = L::lane(), one = 1, zero = 0;
  const auto is = [&](int k, bool wanted) { return (me == index(k)) & wanted; };
  bool at_row = false;
  if constexpr (!L::exactly) at_row = change_slack(mask, f, end, walking);
  int col = end.x;
  while (true) {
    const int before = L::at(d.col.from, col), row = at_row ? end.x : before;
    if constexpr (!L::exactly)
      mask.col_slack = mask.col_slack + pick(is(col, walking && f.from_hub && row == no_vertex<L>), one, zero);
    walking = walking && row != no_vertex<L>;
    if (!L::any_tile(walking)) return;
    const int next = L::at(d.row.from, row & (L::width - 1));
    const bool takes = walking && !at_row, gives = walking && (L::exactly || next != no_vertex<L>);
    mask.kept.rows = mask.kept.rows ^ bits::one(index(col), is(row, takes)) ^ bits::one(index(next), is(row, gives));
    mask.kept.cols = mask.kept.cols ^ bits::one(index(row), is(col, takes) | is(next, gives));
    if constexpr (!L::exactly) mask.row_slack = mask.row_slack - pick(is(row, walking && !gives), one, zero);
    walking = gives;
    at_row = false;
    col = next;
  }
}

// What the next search begins at: columns with too many entries or, if there are none, against the arcs those with too
// few, or the hub.
template <class L>
struct needs {
  typename L::flag sources, few, has_slack;
  bool open, back, from_hub;
};
template <class L>
TSENOR_FN needs<L> needs_of(const partial_mask<L>& mask, const typename L::index& off, const quotas<L>& quota) {
  const typename L::index zero = 0;
  const auto many = off > zero, has_slack = mask.row_slack > zero, few = off < zero;
  const bool open = L::ballot(many) != 0;
  if constexpr (L::exactly) return {many, few, has_slack, open, false, false};
  const int lacking = L::count(few), slack_rows = L::count(has_slack);
  const bool lacks = quota.at_most && !open, back = lacks && lacking * 2 <= slack_rows;
  return {back ? few : many, few, has_slack, open || (lacks && lacking != 0), back, lacks && !back};
}

template <class L, class Back>
TSENOR_FN search_frame<L, Back> frame_of(const partial_mask<L>& mask, const fixed_prices<L>& prices,
                                         const quotas<L>& quota, const needs<L>& need, const Back& back) {
  using index = typename L::index;
  const index zero = 0, row = a_row, col = a_column;
  if constexpr (L::exactly) return {mask, prices, quota, row, pick(need.few, zero, col), zero, back, false, false};
  const auto sinks = (need.few | ((mask.col_slack > zero) & !need.from_hub)) & !bool(back);
  const index rows = pick(need.has_slack & bool(back), zero, row), cols = pick(sinks, zero, col);
  const bool may_end = quota.at_most && !need.from_hub;
  const index way = pick(typename L::flag(bool(back)), prices.col, prices.row) * index(-4);
  const index to_hub = pick(typename L::flag(may_end), way, index(4 * unreached));
  return {mask, prices, quota, rows, cols, to_hub, back, need.from_hub, may_end};
}

// One search, and what it mends.
template <class L, class Back>
TSENOR_FN void mend(L& l, const needs<L>& need, const quotas<L>& quota, const Back& back, partial_mask<L>& mask,
                    fixed_prices<L>& prices, effort& spent) {
  const search_frame<L, Back> frame = frame_of(mask, prices, quota, need, back);
  paths<L> d = paths_from<L>(need.sources, frame);
  const arrival end = search(l, frame, need.open, d, spent.iterations);
  move_prices(d, end.length, frame, prices);
  augment(mask, d, frame, end, need.open);
  spent.moves += need.open;
}

// The optimal mask from the rows' best entries, and the prices that prove it.
template <class L>
TSENOR_STAGE void repair(L& l, const quotas<L>& quota, mask_bits<L>& kept, fixed_prices<L>& prices, effort& spent) {
  partial_mask<L> mask = with_slack(kept, prices, quota);
  while (true) {
    const typename L::index off = L::count(mask.kept.cols) + mask.col_slack - quota.col;
    if (!L::any(!(off == typename L::index(0)))) break;
    const needs<L> need = needs_of(mask, off, quota);
    if constexpr (!L::exactly && !L::one_tile)
      mend(l, need, quota, need.back, mask, prices, spent);
    else if (!L::exactly && need.back)
      mend(l, need, quota, fixed_bool<true>{}, mask, prices, spent);
    else
      mend(l, need, quota, fixed_bool<false>{}, mask, prices, spent);
  }
  kept = mask.kept;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
