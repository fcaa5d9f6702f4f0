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

constexpr int weight_bits = 25;       // 0 <= weights < 2^25; column prices are clamped to +-2^25, so that
                                      // |w + u + v| < 3 * 2^25 =: C
constexpr int fixed_bits = 24;        // a weight counts 2^-24 of scaled importances, which are below 2
constexpr int outside = -(1 << 28);   // the weight of an entry outside the tile
constexpr int kept_by_all = 1 << 29;  // with it the price of a lane outside that is kept before any other

// Coarse weights are within [0, 2^14), prices of columns within +-2^13 and of rows within [-2^14, 2^13], so that sums
// stay within 16 bits. Where a few weights are so large that the others' coarse weights are small, coarse_shift gives
// way to a lesser one, and what is beyond 2^14 then is cut off: it is kept in any case.
constexpr int coarse_shift = 12;
constexpr int coarse_most = 1 << (weight_bits - coarse_shift);
constexpr int coarse_end = 2 * coarse_most;
constexpr int coarse_outside = -coarse_end;   // prices of lanes outside, whose coarse weights are 0: below all sums
constexpr int coarse_kept = 3 * coarse_most;  // and above
constexpr int coarse_mean = 700;              // enough for the mean of coarse weights
template <class L>
constexpr int coarse_median = L::width > 32 ? 600 : 150;  // enough for their median, so that the shift stays as it is

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
  int fillers;  // see fillers_of
};

// How many lanes outside of every tile, the last ones, stand for rows and columns that all keep; none keeps the others.
// So the rank that is looked for is the middle one of all lanes, where M leaves over enough: fewest comparisons.
template <class L>
TSENOR_FN int fillers_of(int n, int side) {
  const int wanted = L::width / 2 - n;
  return !L::plain && wanted > 0 && wanted <= L::width - side ? wanted : 0;
}
template <class L>
TSENOR_FN typename L::flag is_filler(const quotas<L>& quota) {
  return !(L::lane() < typename L::index(L::width - quota.fillers));
}

// The same for the general lanes.
template <class L>
TSENOR_FN quotas<typename L::general> as_general(const quotas<L>& quota) {
  return {quota.row, quota.col, quota.n, quota.at_most, quota.fillers};
}

// Tiles of M > 32 begin their sweeps anew where the first half of the first shows that their resolution is too low.
template <class L>
constexpr bool begins_anew = L::width > 32;
// Others have a sample that tells their resolution: four rows, no two of them a power of two apart, which any M of
// these lanes has. M <= 8 needs none.
template <class L>
constexpr bool takes_sample = L::width == 16 || L::width == 32;
template <class L>
TSENOR_FN bool is_sampled(int row) {
  return takes_sample<L> && ((L::width == 32 ? 0x8421u : 0xa5u) >> row & 1u) != 0;
}

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

// The price of each row (Rows) or column, given the other side's, which are shared.
template <bool Rows, class L, class Prices>
TSENOR_FN typename L::index balance(L& l, const Prices& prices, const quotas<L>& quota) {
  typename L::index nth, next;
  around_prices<L>(l.weights.template entries<Rows>(), prices, quota.n + quota.fillers, nth, next);
  return midprice<L>(nth, next, Rows ? quota.row : quota.col);
}

// Exact prices of rows.
template <class L, class Prices>
TSENOR_FN typename L::index row_prices(L& l, const Prices& col, const quotas<L>& quota) {
  const typename L::index row = balance<true>(l, col, quota);
  return quota.at_most ? smallest(row, typename L::index(0)) : row;
}

// A quarter further than from `price` to `target`, within [least, most].
template <class L>
TSENOR_FN typename L::coarse_result over_relaxed(const typename L::coarse_result& price,
                                                 const typename L::coarse_result& target, int least, int most) {
  using result = typename L::coarse_result;
  const result step = target - price;
  return largest(smallest(target + L::midpoint(L::midpoint(step, result(0)), result(0)), result(most)), result(least));
}

// New prices of one side, given the other's, at the lower resolution and over-relaxed but for the first sweep. Those of
// lanes outside the tile remain.
template <class L, class Entries>
TSENOR_STAGE void coarse_sweep(L& l, const Entries& entries, const typename L::coarse_result& other, bool first,
                               const typename L::coarse_result& quota, int rank, int least, int most,
                               typename L::coarse_result& price) {
  using result = typename L::coarse_result;
  const auto prices = l.share_coarse(other);
  result target;
  for (int s = 0; s < L::coarse_parts; s++) {
    typename L::coarse t[L::coarse_count];
    typename L::coarse_rank nth, next;
    TSENOR_UNROLL for (int k = 0; k < L::coarse_count; k++) t[k] = entries.get(l, k, s) + prices[k];
    around_rank<L::coarse_count>(t, rank, nth, next);
    target.part[s] = L::coarse_midprice(nth, next);
  }
  const result now = over_relaxed<L>(first ? target : price, target, least, most);
  price = L::plain ? now : pick(quota > result(0), now, price);
}

// Where prices must not be positive, their free constant, (u + c, v - c), makes the largest u and the largest v equal,
// and what is still positive is cut off; later sweeps keep it so. Sweeps that are cut off from the start leave the
// constant to the rows.
template <class L>
TSENOR_FN void make_not_positive(const quotas<L>& quota, typename L::coarse_result& row,
                                 typename L::coarse_result& col) {
  using index = typename L::index;
  const index zero = 0, least = -2 * coarse_most, u = L::widen(row), v = L::widen(col);
  const int row_top = L::tile_largest(pick(quota.row > zero, u, least));
  const int col_top = L::tile_largest(pick(quota.col > zero, v, least));
  if (!quota.at_most) return;
  const index up = (col_top - row_top) >> 1;
  row = L::narrow(pick(quota.row > zero, largest(smallest(u + up, zero), least + index(1)), u));
  col = L::narrow(pick(quota.col > zero, largest(smallest(v - up, zero), index(-coarse_most)), v));
}

// Where less than half of the entries are kept, prices are larger beside the weights' mean: this of `side`.
TSENOR_FN int scarce(int n, int side) { return 2 * n < side ? 2 * n : side; }

// Whether most rows' first prices are too small a part of the largest weight for the lower resolution. Those of
// Gaussian weights are not.
template <class L>
TSENOR_FN bool is_too_coarse(const typename L::coarse_result& row, const quotas<L>& quota, int side) {
  using index = typename L::index;
  const int n = quota.n;
  auto low = L::widen(row) * index(side * side) > index(2 * coarse_median<L> * (n - side) * scarce(n, side));
  if constexpr (!L::plain) low = low & (quota.row > index(0));
  return L::count(low) * 2 > side;
}

// By how many bits weights are shifted where coarse_shift is too coarse: so that their mean is at least coarse_mean.
template <class L>
TSENOR_FN int finer_shift(L& l, const quotas<L>& quota, int side) {
  using index = typename L::index;
  index sums = 0;
  for (int k = 0; k < L::width; k++) sums = sums + (largest(l.weights.row_entry(k), index(0)) >> 6);
  std::uint32_t sum = 0;
  l.for_each_lane([&](int i) { sum += std::uint32_t(L::own(sums, i)); });
  sum = L::tile_sum(sum);
  const int entries = L::count(quota.row > index(0)) * L::count(quota.col > index(0));
  const std::uint32_t least = std::uint32_t(entries * coarse_mean * scarce(quota.n, side) / side) >> 6;
  const int shift = exponent_of(float(sum)) - exponent_of(float(least));
  const int within = shift > coarse_shift ? coarse_shift : shift > 0 ? shift : 0;
  return within - (within > 0 && least << within > sum);
}

// By how many bits weights are shifted to begin with: so that the sample's mean is at least coarse_mean, or half of it.
template <class L>
TSENOR_FN int first_shift(L& l, const typename L::index& sample, const quotas<L>& quota, int side) {
  if (!takes_sample<L>) return coarse_shift;
  std::uint32_t sum = 0;
  l.for_each_lane([&](int i) { sum += std::uint32_t(L::own(sample, i)) >> 4; });
  sum = L::tile_sum(sum);
  const std::uint32_t least = std::uint32_t(coarse_mean * scarce(quota.n, side)) >> 2;
  const int shift = exponent_of(float(sum)) - exponent_of(float(least));
  if (sum != 0 && shift <= coarse_shift) return shift > 0 ? shift : 0;
  return coarse_shift;
}

// Sweeps over rows and columns at the lower resolution. Ends after the first half of the first if look(row prices) says
// so; returns whether all were made.
template <class L, class Look>
TSENOR_FN bool coarse_sweeps(L& l, const typename L::coarse_lines& lines, const quotas<L>& quota, const Look& look,
                             typename L::coarse_result& col) {
  using result = typename L::coarse_result;
  using index = typename L::index;
  const result row_quota = L::narrow(quota.row), col_quota = L::narrow(quota.col);
  const int rank = quota.n + quota.fillers;
  result row;
  col = 0;
  if constexpr (!L::plain) {
    row = L::narrow(pick(is_filler<L>(quota), index(coarse_kept), index(coarse_outside)));
    col = pick(col_quota > col, col, row);
  }
  TSENOR_ROLLED for (int sweep = 0; sweep < sweeps; sweep++) {
    const int most = quota.at_most && sweep > 0 ? 0 : coarse_most;
    coarse_sweep(l, lines.rows, col, sweep == 0, row_quota, rank, -2 * coarse_most + 1, most, row);
    if (begins_anew<L> && sweep == 0 && look(row)) return false;
    coarse_sweep(l, lines.cols, row, sweep == 0, col_quota, rank, -coarse_most, most, col);
    if (!L::exactly && sweep < sweeps - 1 && L::any_tile(quota.at_most)) make_not_positive(quota, row, col);
  }
  return true;
}

// Exact prices of coarse ones of columns, 0 outside the tile.
template <class L>
TSENOR_FN typename L::index widened(const typename L::coarse_result& col, int shift, const quotas<L>& quota) {
  const typename L::index zero = 0, price = L::widen(col) * typename L::index(1 << shift);
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
      l, lines, quota, [](const auto&) { return false; }, col);
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
  [[maybe_unused]] const bool all = coarse_sweeps(l, lines, quota, look, col);
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
  const typename L::index zero = 0;
  prices.col = balance<false>(l, shared_prices(l, prices.row, quota), quota);
  if (quota.at_most) prices.col = smallest(prices.col, zero);
  prices.row = row_prices(l, shared_prices(l, prices.col, quota), quota);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
