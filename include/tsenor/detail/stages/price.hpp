// price: a few sweeps of prices nearly solve a tile, and rows then take their best.
//
// Row i's dual is least for any price u_i between minus the N-th and minus the (N+1)-th largest of w_ij + v_j; the sweeps
// take the midpoint, for rows and columns in turn. Weights are integers here, relative to a power of two near the tile's
// largest: sums, ties and tests for equality are exact, which the repair needs, and all machines give the same mask.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_PRICE_STAGE)
#define TSENOR_PRICE_STAGE

#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/select.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int weight_bits = 25;                 // 0 <= weights < 2^25; column prices are clamped to +-2^25, so that
                                                // |w + u + v| < 3 * 2^25 =: C
constexpr double fixed_unit = 1.0 / (1 << 24);  // of a weight, in scaled importances, which are below 2
constexpr int outside = -(1 << 28);             // the weight of an entry outside the tile

constexpr int sweeps = 3;

template <class L>
struct fixed_prices {
  typename L::index row, col;
};

// The tile's problem: who takes part, and whether rows and columns may keep fewer than n.
template <class L>
struct quotas {
  typename L::index row, col;  // n, or 0 outside the tile
  int n, cols;                 // cols: columns of the tile
  bool at_most;
};

// The price of each row (Rows) or column that puts 0 midway between its n-th and its next largest w + price.
template <bool Rows, class L, class Shared>
TSENOR_FN typename L::index balance(L& l, const Shared& other, const quotas<L>& q) {
  typename L::index price;
  for (int s = 0; s < L::parts; s++) {  // not unrolled: the network is most of the code
    decltype(price.part[0] + 0) t[L::width + 1], nth, next;
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) t[k] = l.surplus.template entry_part<Rows>(k, s) + other[k];
    around_rank<L::width>(t, q.n, nth, next);
    price.part[s] = -((nth + next + 1) >> 1);
  }
  const typename L::index zero = 0;
  const auto& mine = Rows ? q.row : q.col;
  if (q.at_most) price = smallest(price, zero);
  return pick(mine > zero, price, zero);
}

// Prices of rows and columns; l.surplus then holds w + u + v.
template <class L>
TSENOR_STAGE fixed_prices<L> price(L& l, const quotas<L>& q, int sweeps) {
  using index = typename L::index;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) l.surplus.set_row_entry(
      k, pick((q.row > index(0)) & (k < q.cols), L::to_fixed(l.importance.row_entry(k)), index(outside)));
  l.surplus.seal();
  fixed_prices<L> p;
  p.col = 0;
  for (int sweep = 0;; sweep++) {
    p.row = balance<true>(l, l.share(p.col), q);
    if (sweep == sweeps) break;
    p.col = balance<false>(l, l.share(p.row), q);
    p.col = largest(smallest(p.col, index(1 << weight_bits)), index(-(1 << weight_bits)));
  }
  const auto col = l.share(p.col);
  TSENOR_UNROLL for (int k = 0; k < L::width; k++)
      l.surplus.set_row_entry(k, l.surplus.row_entry(k) + p.row + index(col[k]));
  l.surplus.seal();
  return p;
}

// Rows take their n best, those of surplus >= 0, and of equals at 0 the first from column i on. Where rows may keep fewer, a
// row of price 0 leaves the entries of surplus 0.
template <class L>
TSENOR_FN typename L::bits take_best(L& l, const fixed_prices<L>& p, const quotas<L>& q, int m) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  bits best(typename L::tile_set(0)), tied(typename L::tile_set(0));
  const auto inside = q.row > zero;
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
    const index x = l.surplus.row_entry(k);
    best = best | bits::one(index(k), inside & (x > zero));
    tied = tied | bits::one(index(k), inside & (x == zero));
  }
  if (q.at_most) tied = where(p.row < zero, tied);
  index taken = L::count(best);
  const auto fits = !(taken + L::count(tied) > q.row);
  best = best | where(fits, tied);
  if (!L::any_tile(L::ballot(!fits) != 0)) return best;
  index column = L::lane();
  for (int k = 0; k < m; k++) {
    const bits candidate = bits::one(column, inside & !fits & (taken < q.row));
    const bits took = candidate & tied;
    best = best | took;
    taken = taken + L::count(took);
    column = column + index(1);
    column = pick(column < index(m), column, zero);
  }
  return best;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
