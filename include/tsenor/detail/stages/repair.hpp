// repair: shortest augmenting paths make the columns exact, and the mask the optimum.
//
// Rows have their best, so the relaxed problem without column quotas is solved and its residual graph has no negative cycle:
// arcs lead from column j to row i over a kept entry (at + surplus, giving it up) and from row i to column k over a free one
// (at - surplus, taking it). Moving one unit from a column with too many entries to one with too few along a shortest path keeps
// that so (successive shortest paths); when no column is off, the mask is optimal. Where rows and columns may keep fewer than n,
// a hub stands for not keeping: a row may exchange an entry for a unit of slack (at its price), a column may be filled by slack
// (at its price), and what is in excess may end, what lacks may begin, at the hub, whose price is 0.
//
// Ends: integers have no rounding, so labels only fall and are bounded; every phase begins with tight paths to at least one
// sink, and the first of them is always walked to its source, so each phase mends at least one unit. Labels carry the round that
// set them, and a walk only goes back in rounds: it cannot circle among ties of length zero.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_REPAIR_STAGE)
#define TSENOR_REPAIR_STAGE

#include "tsenor/detail/stages/price.hpp"
#include "tsenor/detail/stages/round.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int unreached = (1 << 30) - 1;  // twice that does not overflow
constexpr int too_far = 1 << 29;          // > 4 C: every sink is two arcs, at most 2 C, from every source

// The mask while it is repaired: entries and slack of every row add up to its quota.
template <class L>
struct partial_mask {
  mask_bits<L> kept;
  typename L::index row_slack, col_slack;
};

// Shortest path lengths from the sources, and the rounds that found them.
template <class L>
struct labels {
  typename L::index row, col, row_round, col_round;
  int hub, hub_round;
};

// Lower ends of the labels over all phases: in lane j that of column j. Added to the column prices, they are the dual.
template <class L>
struct phase_potentials {
  typename L::index col;
  int hub;
};

template <class L>
TSENOR_FN typename L::index imbalance(const partial_mask<L>& m, const quotas<L>& q) {
  return L::count(m.kept.cols) + m.col_slack - q.col;
}

// The residual arcs of this phase: to row i from column k over a kept entry, to column j from row k over a free one. In
// registers where they fit, else read from the tile again.
template <class L>
struct residual_arcs {
  using index = typename L::index;
  index to_row[L::holds_arcs ? L::width : 1], to_col[L::holds_arcs ? L::width : 1];

  TSENOR_FN residual_arcs(const L& l, const partial_mask<L>& m) {
    if constexpr (L::holds_arcs) {
      TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
        to_row[k] = row_arc(l, m, k);
        to_col[k] = col_arc(l, m, k);
      }
    }
  }
  TSENOR_FN static index row_arc(const L& l, const partial_mask<L>& m, int k) {
    return pick(m.kept.rows.test(k), l.surplus.row_entry(k), index(unreached));
  }
  TSENOR_FN static index col_arc(const L& l, const partial_mask<L>& m, int k) {
    return pick(m.kept.cols.test(k), index(unreached), index(0) - l.surplus.col_entry(k));
  }
  TSENOR_FN index row(const L& l, const partial_mask<L>& m, int k) const {
    if constexpr (L::holds_arcs)
      return to_row[k];
    else
      return row_arc(l, m, k);
  }
  TSENOR_FN index col(const L& l, const partial_mask<L>& m, int k) const {
    if constexpr (L::holds_arcs)
      return to_col[k];
    else
      return col_arc(l, m, k);
  }
};

// One round over the rows: the best of the columns whose entry they keep, and of the hub.
template <class L>
TSENOR_FN void relax_rows(L& l, const partial_mask<L>& m, const residual_arcs<L>& arcs, const fixed_prices<L>& p,
                          const quotas<L>& q, int round, labels<L>& d) {
  using index = typename L::index;
  const auto from = l.share(d.col);
  index best = d.row;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) best = L::add_min(arcs.row(l, m, k), from[k], best);
  if (q.at_most) best = pick(m.row_slack > index(0), smallest(best, index(d.hub) + p.row), best);
  d.row_round = pick(best < d.row, index(round), d.row_round);
  d.row = best;
}

template <class L>
TSENOR_FN void relax_hub(const partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q, int round,
                         labels<L>& d) {
  using index = typename L::index;
  const index zero = 0, none = unreached;
  const index from_row = pick((q.row > zero) & (d.row < index(too_far)), d.row - p.row, none);
  const index from_col = pick((m.col_slack > zero) & (d.col < index(too_far)), d.col + p.col, none);
  const int best = -L::tile_largest(zero - smallest(from_row, from_col));
  if (q.at_most && best < d.hub) {
    d.hub = best;
    d.hub_round = round;
  }
}

// One round over the columns; tells which became shorter.
template <class L>
TSENOR_FN typename L::flag relax_cols(L& l, const partial_mask<L>& m, const residual_arcs<L>& arcs,
                                      const fixed_prices<L>& p, const quotas<L>& q, int round, labels<L>& d) {
  using index = typename L::index;
  const auto from = l.share(d.row);
  index best = d.col;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) best = L::add_min(arcs.col(l, m, k), from[k], best);
  if (q.at_most) best = pick(q.col > index(0), smallest(best, index(d.hub) - p.col), best);
  const auto shorter = (best < d.col) & (best < index(too_far));
  d.col = pick(shorter, best, d.col);
  d.col_round = pick(shorter, index(round), d.col_round);
  return shorter;
}

// All rows, then all columns, relax at once (Bellman-Ford), until no sink can come nearer.
template <class L>
TSENOR_FN labels<L> shortest_paths(L& l, const partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q,
                                   bool from_hub, bool open, phase_potentials<L>& potential, int& rounds) {
  using index = typename L::index;
  const index zero = 0;
  const index off = imbalance(m, q);
  const auto source = (off > zero) & !from_hub, sink = off < zero;
  labels<L> d{unreached, pick(source, zero, index(unreached)), 0, 0, from_hub ? potential.hub : unreached, 0};
  const residual_arcs<L> arcs(l, m);
  int reach = 0;
  for (bool again = open; L::any_tile(again);) {
    rounds += again;
    const int round = rounds, hub = d.hub;
    relax_rows(l, m, arcs, p, q, round, d);
    relax_hub(m, p, q, round, d);
    const auto shorter = relax_cols(l, m, arcs, p, q, round, d);
    reach = L::tile_largest(pick(sink, d.col - potential.col, zero));
    if (q.at_most && !from_hub) reach = reach > d.hub - potential.hub ? reach : d.hub - potential.hub;
    const bool nearer = L::ballot(shorter & (d.col - potential.col < index(reach))) != 0;
    again = open && (nearer || (d.hub < hub && d.hub - potential.hub < reach));
  }
  if (open) {
    potential.col = smallest(d.col, potential.col + index(reach));
    potential.hub = d.hub < potential.hub + reach ? d.hub : potential.hub + reach;
  }
  return d;
}

// A vertex of the residual graph.
enum vertex_kind { a_column, a_row, the_hub };
struct vertex {
  int kind, at;
};

// Vertices from which no source can be reached any more in this phase.
template <class L>
struct dead_ends {
  typename L::tile_set rows = 0, cols = 0;
  bool hub = false;
};

// A vertex with a tight arc to v that was labelled before it, or itself if there is none.
template <class L>
TSENOR_FN vertex predecessor(L& l, const partial_mask<L>& m, const labels<L>& d, const fixed_prices<L>& p,
                             const quotas<L>& q, const dead_ends<L>& dead, const vertex& v) {
  using index = typename L::index;
  using flag = typename L::flag;
  const index zero = 0;
  const int col_label = L::at(d.col, v.at), row_label = L::at(d.row, v.at);
  const int col_round = L::at(d.col_round, v.at), row_round = L::at(d.row_round, v.at);
  const bool col = v.kind == a_column, row = v.kind == a_row, hub = v.kind == the_hub;
  const index label = col   ? col_label
                      : row ? row_label
                            : d.hub,
              stamp = col   ? col_round
                      : row ? row_round
                            : d.hub_round;
  // from a row: to a column over a free entry, to the hub at the row's price
  const flag takes = (d.row - l.surplus.row_entry(v.at) == label) & !m.kept.rows.test(v.at) & col;
  const flag yields = (d.row - p.row == label) & (q.row > zero) & hub;
  const auto rows = L::ballot((takes | yields) & !(d.row_round > stamp)) & ~dead.rows;
  // from a column: to a row over a kept entry, to the hub by giving up slack
  const flag leaves = (d.col + l.surplus.col_entry(v.at) == label) & m.kept.cols.test(v.at) & row;
  const flag empties = (d.col + p.col == label) & (m.col_slack > zero) & hub;
  const auto cols = L::ballot((leaves | empties) & (d.col_round < stamp)) & ~dead.cols;
  // from the hub: to a column by filling it with slack, to a row that has slack
  const flag fills = (index(d.hub) - p.col == label) & (q.col > zero) & !(index(d.hub_round) > stamp) & col;
  const flag grows = (index(d.hub) + p.row == label) & (m.row_slack > zero) & (index(d.hub_round) < stamp) & row;
  const bool over_hub = (L::ballot(fills | grows) >> v.at & 1u) && q.at_most && !dead.hub;
  if (rows) return {a_row, L::first(rows)};
  if (cols) return {a_column, L::first(cols)};
  return over_hub ? vertex{the_hub, 0} : v;
}

// Moves a unit along the arc from u to v.
template <class L>
TSENOR_FN void flip(partial_mask<L>& m, const vertex& u, const vertex& v, bool wanted) {
  using bits = typename L::bits;
  using index = typename L::index;
  const auto me = L::lane();
  const bool take = wanted && u.kind == a_row && v.kind == a_column,
             give = wanted && u.kind == a_column && v.kind == a_row;
  const int row = u.kind == a_row ? u.at : v.at, col = u.kind == a_row ? v.at : u.at;
  const auto in_row = bits::one(index(col), (me == index(row)) & (take || give));
  const auto in_col = bits::one(index(row), (me == index(col)) & (take || give));
  m.kept.rows = take ? m.kept.rows | in_row : m.kept.rows - in_row;
  m.kept.cols = take ? m.kept.cols | in_col : m.kept.cols - in_col;
  const auto is = [&](const vertex& x, int kind) { return (me == index(x.at)) & (wanted && x.kind == kind); };
  const index one = 1, zero = 0;
  const bool to_hub = v.kind == the_hub, from_hub = u.kind == the_hub;
  m.row_slack = m.row_slack + pick(is(u, a_row) & to_hub, one, zero) - pick(is(v, a_row) & from_hub, one, zero);
  m.col_slack = m.col_slack - pick(is(u, a_column) & to_hub, one, zero) + pick(is(v, a_column) & from_hub, one, zero);
}

// Follows tight arcs from a sink back to a source and moves a unit along them; notes a dead end if there is one.
template <class L>
TSENOR_FN bool augment(L& l, partial_mask<L>& m, const labels<L>& d, const fixed_prices<L>& p, const quotas<L>& q,
                       typename L::tile_set sources, bool from_hub, vertex v, bool walking, dead_ends<L>& dead) {
  partial_mask<L> moved = m;
  bool reached = false;
  while (true) {
    const bool at_source = v.kind == a_column ? sources >> v.at & 1u : v.kind == the_hub && from_hub;
    reached = reached || (walking && at_source);
    walking = walking && !reached;
    if (!L::any_tile(walking)) break;
    const vertex u = predecessor(l, m, d, p, q, dead, v);
    const bool stuck = u.kind == v.kind;
    if (walking && stuck) {
      if (v.kind == a_column) dead.cols |= typename L::tile_set(1) << v.at;
      if (v.kind == a_row) dead.rows |= typename L::tile_set(1) << v.at;
      if (v.kind == the_hub) dead.hub = true;
    }
    walking = walking && !stuck;
    flip(moved, u, v, walking);
    if (walking) v = u;
  }
  if (reached) m = moved;
  return reached;
}

// Augments along tight paths until this phase has no more.
template <class L>
TSENOR_FN int augment_all(L& l, partial_mask<L>& m, const labels<L>& d, const fixed_prices<L>& p, const quotas<L>& q,
                          bool from_hub, bool open) {
  using index = typename L::index;
  const index zero = 0;
  dead_ends<L> dead;
  int moves = 0;
  while (true) {
    const index off = imbalance(m, q);
    const auto sources = L::ballot(off > zero);
    const auto sinks = L::ballot((off < zero) & (d.col < index(too_far))) & ~dead.cols;
    const bool to_hub = q.at_most && !from_hub && !dead.hub && d.hub < too_far;
    open = open && (from_hub || sources != 0) && (sinks != 0 || to_hub);
    if (!L::any_tile(open)) return moves;
    const vertex sink = sinks != 0 ? vertex{a_column, L::first(sinks)} : vertex{the_hub, 0};
    moves += augment(l, m, d, p, q, sources, from_hub, sink, open, dead);
  }
}

// The optimal mask from the rows' best entries, and the potentials that prove it.
template <class L>
TSENOR_STAGE phase_potentials<L> repair(L& l, partial_mask<L>& m, const fixed_prices<L>& p, const quotas<L>& q,
                                        int& rounds, int& moves) {
  phase_potentials<L> potential{0, 0};
  while (true) {
    const auto off = imbalance(m, q);
    const auto sources = L::ballot(off > typename L::index(0)), sinks = L::ballot(off < typename L::index(0));
    const bool open = sources != 0 || (q.at_most && sinks != 0), from_hub = sources == 0;
    if (!L::any_tile(open)) return potential;
    const labels<L> d = shortest_paths(l, m, p, q, from_hub, open, potential, rounds);
    moves += augment_all(l, m, d, p, q, from_hub, open);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
