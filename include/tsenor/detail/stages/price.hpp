// price: a few sweeps of prices nearly solve a tile; take then prices rows exactly.
//
// Row i's dual is least for any price u_i between minus the N-th and minus the (N+1)-th largest of w_ij + v_j; the
// sweeps take the midpoint, for rows and columns in turn. From the second sweep on they go a quarter further, which
// saves a third of the repair (successive over-relaxation). Weights are integers here, relative to a power of two near
// the tile's largest: sums, ties and tests for equality are exact, and all machines give the same mask. The sweeps
// themselves need less: they run on 16-bit numbers, the last prices of the rows are exact.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

// The price that puts 0 midway between the n-th largest of w + price and the next.
template <class L>
TSENOR_FN typename L::index midprice(const typename L::index& nth, const typename L::index& next,
                                     const typename L::index& quota) {
  const typename L::index zero = 0, price = zero - L::midpoint(nth, next + typename L::index(1));
  return L::plain ? price : pick(quota > zero, price, zero);
}

// The n-th largest of entry + price in each lane, and the next, in any order. One function for all sweeps: the network
// is most of the code.
template <class L, class Entries, class Prices>
TSENOR_STAGE void around_prices(const Entries& entries, const Prices& prices, int n, typename L::index& nth,
                                typename L::index& next) {
  for (int s = 0; s < L::parts; s++) {
    decltype(nth.part[0] + 0) t[L::width];
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) t[k] = entries.get(k, s) + prices[k];
    around_rank<L::width>(t, n, nth.part[s], next.part[s]);
  }
}

// Prices for all lanes to read, as selection takes them: lanes outside stand for kept rows or columns.
template <class L>
TSENOR_FN auto shared_prices(L& l, const typename L::index& price, const quotas<L>& quota) {
  return l.share(L::plain ? price : pick(is_filler<L>(quota), typename L::index(kept_by_all), price));
}

// The exact price of each row or column, given the other side's, which are shared.
template <class L, class Prices>
TSENOR_FN typename L::index balance(L& l, bool rows, const Prices& prices, const quotas<L>& quota) {
  typename L::index nth, next;
  around_prices<L>(l.weights.entries(rows), prices, quota.n + quota.fillers, nth, next);
  const typename L::index price = midprice<L>(nth, next, rows ? quota.row : quota.col);
  return quota.at_most ? smallest(price, typename L::index(0)) : price;
}

// Exact prices of coarse ones of columns, 0 outside the tile.
template <class L>
TSENOR_FN typename L::index widened(const typename L::coarse_result& col, int shift, const quotas<L>& quota) {
  using index = typename L::index;
  const index zero = 0, price = largest(L::widen(col) * index(1 << shift), index(-(1 << weight_bits)));
  return L::plain ? price : pick(quota.col > zero, price, zero);
}

// Prices of columns where the resolution was too low.
template <class L>
TSENOR_APART void finer_column_prices(typename L::memory& memory, const quotas<L>& quota, int side,
                                      typename L::index& price) {
  L::barrier();
  L l(memory);
  const int shift = finer_shift(l, quota, side);
  const auto lines = l.coarse_entries(typename L::held_column{}, shift, coarse_end);
  typename L::coarse_result col;
  coarse_sweeps(
      l, lines, shift, quota, [](const auto&) { return false; }, col);
  price = widened(col, shift, quota);
  L::barrier();
}

// Prices of columns by sweeps at the lower resolution.
template <class L>
TSENOR_FN typename L::index coarse_column_prices(L& l, const typename L::held_column& held, int shift,
                                                 const quotas<L>& quota, int side) {
  const auto lines = l.coarse_entries(held, shift, coarse_end);
  typename L::coarse_result col;
  const auto look = [&](const typename L::coarse_result& row) { return is_too_coarse<L>(row, quota, side); };
  [[maybe_unused]] const bool all = coarse_sweeps(l, lines, shift, quota, look, col);
  if constexpr (begins_anew<L>)
    if (!all) {
      typename L::index price;
      finer_column_prices<typename L::general>(l.mine, as_general(quota), side, price);
      return price;
    }
  return widened(col, shift, quota);
}

// Prices of columns, from the sweeps or as they were before.
template <class L>
TSENOR_STAGE void price(L& l, const typename L::held_column& held, int shift, const quotas<L>& quota,
                        const earlier_prices<L>& earlier, int side, typename L::index& col) {
  col = earlier.col;
  if (!L::any_tile(!earlier.known)) return;
  const typename L::index found = coarse_column_prices(l, held, shift, quota, side);
  if (!earlier.known) col = found;
}

// Prices in the middle of what the mask leaves open, better to start from next time than the ends that paths lead to.
// They prove the mask as well: of each column, and then of each row, the kept entries remain the best.
template <class L>
TSENOR_STAGE void centre(L& l, const quotas<L>& quota, fixed_prices<L>& prices) {
  prices.col = balance(l, false, shared_prices(l, prices.row, quota), quota);
  prices.row = balance(l, true, shared_prices(l, prices.col, quota), quota);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
