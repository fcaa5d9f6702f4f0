// The pipelines, from a tile of the caller's weights to the caller's outputs, for one group of lanes.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_SOLVE_TILE)
#define TSENOR_SOLVE_TILE

#include <cstdint>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/dykstra.hpp"
#include "tsenor/detail/stages/round.hpp"
#include "tsenor/detail/stages/store.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The dual certificate in the potentials of the plan. They have a free constant, (u + c, v - c). Where prices must not be
// positive, c makes the largest u and the largest v equal, and what is still positive is cut off. Where n = m all is kept,
// and no price is needed.
template <class L>
TSENOR_FN prices<L> certificate(const potentials<L>& u, pattern nm, bool at_most) {
  using real = typename L::real;
  const real unit = u.scale > 0.f && nm.n < nm.m ? 1.f / u.scale : 0.f, zero = 0.f;
  prices<L> price{u.row * unit, u.col * unit};
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

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
