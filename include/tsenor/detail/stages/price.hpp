// price: a few sweeps of prices nearly solve a tile, and rows then take their best.
//
// Row i's dual is least for any price u_i between minus the N-th and minus the (N+1)-th largest of w_ij + v_j; the sweeps
// take the midpoint, for rows and columns in turn. From the second sweep on they go a quarter further, which saves a third of
// the repair (successive over-relaxation). Weights are integers here, relative to a power of two near the tile's largest: sums,
// ties and tests for equality are exact, and all machines give the same mask. The sweeps themselves need less: they
// run on 16-bit numbers, the last prices of the rows are exact.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int weight_bits = 25;      // 0 <= weights < 2^25; column prices are clamped to +-2^25, so that
                                     // |w + u + v| < 3 * 2^25 =: C
constexpr int fixed_bits = 24;       // a weight counts 2^-24 of scaled importances, which are below 2
constexpr int outside = -(1 << 28);  // the weight of an entry outside the tile

constexpr int coarse_shift = 12;  // coarse weights are below 2^13, prices of columns within +-2^13 and of rows within
constexpr int coarse_most = 1 << (weight_bits - coarse_shift);  // [-2^14, 2^13], so that sums stay within 16 bits
constexpr int coarse_outside = -2 * coarse_most;                // below all sums inside, and 16 bits with any price

constexpr int sweeps = 4;  // more cost what they save (see bench/NOTES.md)

template <class L>
struct fixed_prices {
  typename L::index row, col;
};

// Prices of columns to start from, if they are known.
template <class L>
struct earlier_prices {
  typename L::index col;
  bool known;
};

// The tile's problem: who takes part, and whether rows and columns may keep fewer than n.
template <class L>
struct quotas {
  typename L::index row, col;  // n, or 0 outside the tile
  int n;
  bool at_most;
};

// An importance, which is below 2, as the nearest integer w, the greater of two: it is within 2^-25. What is added before
// truncation is the last number below 1/2, since 1/2 itself is rounded up with an odd integer that needs all 24 bits. With
// x = importance * 2^24, which is exact: x + 1/2 is a number if x < 2^23, so nothing less is rounded to it or beyond, nor to
// an integer that it does not reach; and from 2^23 on x is an integer, to which less than half its last bit is added.
template <class L>
TSENOR_FN typename L::index fixed_weight(const typename L::real& importance) {
  using real = typename L::real;
  const typename L::index w = L::truncated(importance * real(float(1 << fixed_bits)) + real(0x1.fffffep-2f));
  return L::plain ? w : pick(importance < real(0.f), typename L::index(outside), w);  // below 0: absent
}
template <class L>
TSENOR_FN typename L::index fixed_weight(const typename L::template lane_value<double>& importance) {
  typename L::template lane_array<std::int32_t> w;
  L::for_each_lane([&](int k) {
    const double x = L::own(importance, k);
    w.of(k) = x < 0 ? outside : int(x * (1 << fixed_bits) + 0x1.fffffffffffffp-2);
  });
  return L::pack_of(w);
}

// The price that puts 0 midway between the n-th largest of w + price and the next.
template <class L>
TSENOR_FN typename L::index midprice(const typename L::index& nth, const typename L::index& next,
                                     const typename L::index& quota) {
  const typename L::index zero = 0, price = zero - L::midpoint(nth, next + typename L::index(1));
  return L::plain ? price : pick(quota > zero, price, zero);
}

// The n-th largest of entry + price in each lane, and the next. One function for all sweeps: the network is most of the code.
template <class L, class Entries, class Prices>
TSENOR_STAGE void around_prices(const Entries& entries, const Prices& prices, int n, typename L::index& nth,
                                typename L::index& next) {
  for (int s = 0; s < L::parts; s++) {
    decltype(nth.part[0] + 0) t[L::width + 1];
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) t[k] = entries.get(k, s) + prices[k];
    around_rank<L::width>(t, n, nth.part[s], next.part[s]);
  }
}

// The price of each row (Rows) or column, given the other side's.
template <bool Rows, class L>
TSENOR_FN typename L::index balance(L& l, const typename L::index& other, const quotas<L>& quota) {
  const auto prices = l.share(other);
  typename L::index nth, next;
  around_prices<L>(l.weights.template entries<Rows>(), prices, quota.n, nth, next);
  return midprice<L>(nth, next, Rows ? quota.row : quota.col);
}

// A quarter further than from `price` to `target`, within [least, most].
template <class L>
TSENOR_FN typename L::coarse_result over_relaxed(const typename L::coarse_result& price,
                                                 const typename L::coarse_result& target, int least, int most) {
  using result = typename L::coarse_result;
  const result step = target - price;
  return largest(smallest(target + L::midpoint(L::midpoint(step, result(0)), result(0)), result(most)), result(least));
}

// New prices of one side, given the other's, at the lower resolution and over-relaxed but for the first sweep.
template <class L, class Entries>
TSENOR_STAGE void coarse_sweep(L& l, const Entries& entries, const typename L::coarse_result& other, bool first,
                               const typename L::coarse_result& quota, int n, int least, int most,
                               typename L::coarse_result& price) {
  using result = typename L::coarse_result;
  const auto prices = l.share_coarse(other);
  result target;
  for (int s = 0; s < L::coarse_parts; s++) {
    typename L::coarse t[L::coarse_count + 1];
    typename L::coarse_rank nth, next;
    TSENOR_UNROLL for (int k = 0; k < L::coarse_count; k++) t[k] = entries.get(l, k, s) + prices[k];
    around_rank<L::coarse_count>(t, n, nth, next);
    target.part[s] = L::coarse_midprice(nth, next);
  }
  if (!L::plain) target = pick(quota > result(0), target, result(0));
  price = over_relaxed<L>(first ? target : price, target, least, most);
}

// Where prices must not be positive, their free constant, (u + c, v - c), makes the largest u and the largest v equal, and what is
// still positive is cut off.
template <class L>
TSENOR_FN typename L::index not_positive(const typename L::index& row, const typename L::index& col,
                                         const quotas<L>& quota) {
  using index = typename L::index;
  const index zero = 0, least = -2 * coarse_most;
  const int row_top = L::tile_largest(pick(quota.row > zero, row, least));
  const int col_top = L::tile_largest(pick(quota.col > zero, col, least));
  return pick(quota.col > zero, smallest(col - index((col_top - row_top) >> 1), zero), zero);
}

template <class L>
TSENOR_FN typename L::index coarse_column_prices(L& l, const quotas<L>& quota) {
  using result = typename L::coarse_result;
  const auto rows = l.template coarse_entries<true>(coarse_shift, coarse_outside);
  const auto cols = l.template coarse_entries<false>(coarse_shift, coarse_outside);
  const result row_quota = L::narrow(quota.row), col_quota = L::narrow(quota.col);
  result row, col = 0;
  for (int sweep = 0; sweep < sweeps; sweep++) {
    coarse_sweep(l, rows, col, sweep == 0, row_quota, quota.n, -2 * coarse_most + 1, coarse_most, row);
    coarse_sweep(l, cols, row, sweep == 0, col_quota, quota.n, -coarse_most, coarse_most, col);
  }
  typename L::index price = L::widen(col);
  if (!L::plain && L::any_tile(quota.at_most)) {
    const typename L::index cut_off =
        largest(not_positive(L::widen(row), price, quota), typename L::index(-coarse_most));
    if (quota.at_most) price = cut_off;
  }
  return price * typename L::index(1 << coarse_shift);
}

// Prices of columns, from the sweeps or as they were before, and exact ones of rows for them.
template <class L>
TSENOR_STAGE fixed_prices<L> price(L& l, const quotas<L>& quota, const earlier_prices<L>& earlier) {
  fixed_prices<L> prices;
  prices.col = earlier.col;
  if (L::any_tile(!earlier.known)) {
    const typename L::index col = coarse_column_prices(l, quota);
    if (!earlier.known) prices.col = col;
  }
  prices.row = balance<true>(l, prices.col, quota);
  if (quota.at_most) prices.row = smallest(prices.row, typename L::index(0));
  return prices;
}

// Prices in the middle of what the mask leaves open, better to start from next time than the ends that paths lead to. They
// prove the mask as well: of each column, and then of each row, the kept entries remain the best.
template <class L>
TSENOR_STAGE void centre(L& l, const quotas<L>& quota, fixed_prices<L>& prices) {
  const typename L::index zero = 0;
  prices.col = balance<false>(l, prices.row, quota);
  if (quota.at_most) prices.col = smallest(prices.col, zero);
  prices.row = balance<true>(l, prices.col, quota);
  if (quota.at_most) prices.row = smallest(prices.row, zero);
}

// Of a row's entries of surplus >= 0, those above 0, and as many of those at 0 as it has room for, the first from column i on.
template <class L>
TSENOR_STAGE void take_better(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                              typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto col = l.share(prices.col);
  const bits better = bits::template negative<L::width>(
      [&](int k) { return zero - (l.weights.row_entry(k) + prices.row + index(col[k])); });
  const bits tied = best - better;
  best = best & better;
  index taken = L::count(best);
  const auto fits = !(taken + L::count(tied) > quota.row);
  best = best | where(fits, tied);
  index column = L::lane();
  for (int k = 0; k < side; k++) {
    const bits candidate = bits::one(column, (!fits) & (taken < quota.row));
    const bits took = candidate & tied;
    best = best | took;
    taken = taken + L::count(took);
    column = column + index(1);
    column = pick(column < index(side), column, zero);
  }
}

// Rows take their n best, those of surplus >= 0, and of equals at 0 the first from column i on. Where rows may keep fewer, a
// row of price 0 leaves the entries of surplus 0.
template <class L>
TSENOR_STAGE void take_best(L& l, const fixed_prices<L>& prices, const quotas<L>& quota, int side,
                            typename L::bits& best) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto col = l.share(prices.col);
  const index least = quota.at_most ? pick(prices.row < zero, zero, index(1)) : zero;  // that a row takes at once
  const index row = prices.row - least;
  const bits worse =
      bits::template negative<L::width>([&](int k) { return l.weights.row_entry(k) + row + index(col[k]); });
  best = bits(first_members<L>(L::width)) - worse;
  if (!L::plain) best = where(quota.row > zero, best);
  if (L::any_tile(L::ballot(L::count(best) > quota.row) != 0)) take_better(l, prices, quota, side, best);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
