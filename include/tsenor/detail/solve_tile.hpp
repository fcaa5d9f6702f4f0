// The pipelines, from a tile of the caller's weights to the caller's outputs, for one group of lanes.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_SOLVE_TILE)
#define TSENOR_SOLVE_TILE

#include <cstdint>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/dykstra.hpp"
#include "tsenor/detail/stages/round.hpp"
#include "tsenor/detail/stages/price.hpp"
#include "tsenor/detail/stages/repair.hpp"
#include "tsenor/detail/stages/store.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The dual certificate in the potentials of the plan. They have a free constant, (u + c, v - c). Where prices must not be
// positive, c makes the largest u and the largest v equal, and what is still positive is cut off. Where n = m all is kept,
// and no price is needed.
template <class L>
TSENOR_FN prices<L, typename L::real> certificate(const potentials<L>& u, pattern nm, bool at_most) {
  using real = typename L::real;
  const real unit = u.scale > 0.f && nm.n < nm.m ? 1.f / u.scale : 0.f, zero = 0.f;
  prices<L, real> price{u.row * unit, u.col * unit, 1.0};
  const auto inside = L::lane() < typename L::index(nm.m);
  const float row_top = L::tile_largest(pick(inside, price.row, real(absent)));
  const float col_top = L::tile_largest(pick(inside, price.col, real(absent)));
  if (at_most) {
    const real shift = 0.5f * (col_top - row_top);
    price.row = price.row + shift;
    price.col = price.col - shift;
    price.row = pick(price.row > zero, zero, price.row);
    price.col = pick(price.col > zero, zero, price.col);
  }
  return price;
}

// load, dykstra, round, store (arXiv 2505.23949).
template <class L, class Weight, class Importance>
TSENOR_FN void solve_published(L& l, const problem<Weight, Importance>& p, std::int64_t tile) {
  const tile_position at = position_of(p, tile);
  const bool exactly = p.kept == constraint::exactly && !at.partial(p.nm.m);
  const tile_scale scale = load(l, p, at);
  const potentials<L> u = dykstra(l, scale, p.nm, p.tau, p.iterations);
  mask_bits<L> mask = greedy(l, p.nm);
  const int moves = local_search(l, mask, p.nm, p.local_search_steps, exactly);
  store(l, p, at, tile, mask, certificate(u, p.nm, !exactly), scale, effort{p.iterations, moves});
}

// The prices that prove a repaired mask optimal, as integers of fixed_unit. The columns' are final; each row's lies between its
// worst kept and its best free entry.
template <class L>
TSENOR_FN prices<L, typename L::index> certificate(L& l, const partial_mask<L>& m, const fixed_prices<L>& p,
                                                   const phase_potentials<L>& potential, const quotas<L>& q) {
  using index = typename L::index;
  const index zero = 0;
  const index shift = potential.col - index(potential.hub);
  prices<L, index> r{zero, p.col + shift, fixed_unit};
  if (q.at_most) r.col = smallest(r.col, zero);
  const auto shifts = l.share(shift);
  index least = too_far, most = outside;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
    const index w = l.surplus.row_entry(k) - p.row + index(shifts[k]);
    const auto kept = m.kept.rows.test(k), counts = (q.row > zero) & (k < q.cols);
    least = pick(kept & counts, smallest(least, w), least);
    most = pick(counts & !kept, largest(most, w), most);
  }
  r.row = zero - L::midpoint(least, most);
  if (q.at_most) r.row = pick(m.row_slack > zero, zero, smallest(r.row, zero));
  r.row = pick(q.row > zero, r.row, zero);
  return r;
}

// Takes out the entries that keep nothing.
template <class L>
TSENOR_FN void drop_zeros(L& l, typename L::bits& rows) {
  using bits = typename L::bits;
  using real = typename L::real;
  bits zeros(typename L::tile_set(0));
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) zeros =
      zeros | bits::one(typename L::index(k), l.importance.row_entry(k) == real(0.f));
  rows = rows - zeros;
}

// load, price, repair, store.
template <class L, class Weight, class Importance>
TSENOR_FN void solve_optimal(L& l, const problem<Weight, Importance>& p, std::int64_t tile) {
  using index = typename L::index;
  const tile_position at = position_of(p, tile);
  const bool at_most = p.kept == constraint::at_most || at.partial(p.nm.m);
  const tile_scale scale = load(l, p, at);
  const index n = p.nm.n, zero = 0;
  const quotas<L> q{pick(L::lane() < index(at.rows), n, zero), pick(L::lane() < index(at.cols), n, zero), p.nm.n,
                    at.cols, at_most};
  const fixed_prices<L> price_of = price(l, q, sweeps);
  partial_mask<L> m;
  m.kept.rows = take_best(l, price_of, q, p.nm.m);
  m.kept.cols = L::transpose(m.kept.rows);
  m.row_slack = q.row - L::count(m.kept.rows);
  m.col_slack = q.at_most ? pick(price_of.col == zero, largest(q.col - L::count(m.kept.cols), zero), zero) : zero;
  effort spent{0, 0};
  const phase_potentials<L> potential = repair(l, m, price_of, q, spent.iterations, spent.moves);
  if (at_most) drop_zeros(l, m.kept.rows);
  store(l, p, at, tile, m.kept, certificate(l, m, price_of, potential, q), scale, spent);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
