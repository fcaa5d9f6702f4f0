// sweep: prices of rows and columns in turn from 16-bit weights, relative to a power of two that suits the tile.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

constexpr int weight_bits = 25;       // 0 <= weights < 2^25; column prices are clamped to +-2^25, so that
                                      // |w + u + v| < 3 * 2^25 =: C
constexpr int fixed_bits = 24;        // a weight counts 2^-24 of scaled importances, which are below 2
constexpr int outside = -(1 << 28);   // the weight of an entry outside the tile
constexpr int kept_by_all = 1 << 29;  // with it the price of a lane outside that is kept before any other

// Coarse weights are within [0, 2^14], prices within (-2^14, 2^13], so that sums stay within 16 bits. Where a few
// weights are so large that the others' coarse weights are small, coarse_shift gives way to a lesser one, and what is
// beyond 2^14 then is cut off: it is kept in any case.
constexpr int coarse_shift = 11;
constexpr int coarse_end = 1 << (weight_bits - coarse_shift);
constexpr int coarse_most = coarse_end / 2, coarse_least = 1 - coarse_end;  // of prices
constexpr int coarse_outside = -coarse_end;  // prices of lanes outside, whose coarse weights are 0: below all sums
constexpr int coarse_kept = coarse_end + coarse_most;  // and above
constexpr int coarse_median = 1200;  // enough for the median of coarse weights, so that the shift stays as it is

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
  int fillers;                 // see fillers_of
  bool exactly_first = false;  // see is_exactly_first
};

// The same problem where rows and columns have to keep n, and the one that is solved first.
template <class L>
TSENOR_FN quotas<L> as_exactly(const quotas<L>& quota) {
  return {quota.row, quota.col, quota.n, false, quota.fillers};
}
template <class L>
TSENOR_FN quotas<L> first_problem(const quotas<L>& quota) {
  return {quota.row, quota.col, quota.n, quota.at_most && !quota.exactly_first, quota.fillers};
}

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
  return {quota.row, quota.col, quota.n, quota.at_most, quota.fillers, quota.exactly_first};
}

// Tiles of M > 32 begin their sweeps anew where the first half of the first shows that their resolution is too low.
template <class L>
constexpr bool begins_anew = L::width > 32;
// A sample of rows tells whether a tile has a large unit. With 8 and 64 lanes it is all rows; with 16 and 32 lanes four
// that tell the resolution too, no two of them a power of two apart, which any M of these lanes has.
template <class L>
constexpr bool tells_resolution = L::width == 16 || L::width == 32;
constexpr int sampled_rows = 4;
template <class L>
TSENOR_FN bool is_sampled(int row) {
  constexpr std::uint32_t rows = L::width == 32 ? 0x8421u : 0xa5u;
  return !tells_resolution<L> || (rows >> row & 1u) != 0;
}

// The sum of the sampled rows' exponents, and all binary digits that their weights have.
template <class L>
struct weight_sample {
  typename L::index exponents, digits;
};

// Whether all weights of the sample, and so of the tile probably, are multiples of 2^unit_shift: then there are few
// different ones, and so many equals.
constexpr int unit_shift = fixed_bits - 7;
template <class L>
TSENOR_FN bool has_large_unit(const typename L::index& digits) {
  using index = typename L::index;
  return L::ballot(digits - (digits >> unit_shift) * index(1 << unit_shift) > index(0)) == 0;
}

// Whether a tile under at most N is solved under exactly N first. Of few different weights that is the optimum of both,
// mostly, and found by half as many searches. With M <= 32 the code would cost other tiles more.
template <class L>
constexpr bool may_be_exactly_first = !L::exactly && L::width > 32;
template <class L>
TSENOR_FN bool is_exactly_first(const typename L::index& digits, bool may_be) {
  if constexpr (may_be_exactly_first<L>) return has_large_unit<L>(digits) && may_be;
  return false;
}

// Where less than half of the entries are kept, prices are larger beside the weights' mean: this of `side`.
TSENOR_FN int scarce(int n, int side) { return 2 * n < side ? 2 * n : side; }

// Whether most rows' first prices are too small a part of the largest weight for the lower resolution. Those of
// Gaussian weights are not.
template <class L>
TSENOR_FN bool is_too_coarse(const typename L::coarse_result& row, const quotas<L>& quota, int side) {
  using index = typename L::index;
  const int n = quota.n;
  auto low = L::widen(row) * index(side * side) > index(2 * coarse_median * (n - side) * scarce(n, side));
  if constexpr (!L::plain) low = low & (quota.row > index(0));
  return L::count(low) * 2 > side;
}

// The binary exponents of weights. Zeros count as the largest: they are kept last at any resolution.
constexpr int float_digits = 23, float_bias = 127;
template <class L>
TSENOR_FN typename L::index exponents_of(const typename L::index& weight) {
  using index = typename L::index;
  const index bits = same_bits<index>(L::real_of(weight));
  return pick(weight > index(0), (bits >> float_digits) - index(float_bias), index(fixed_bits));
}

// A logarithm to base 2 in quarters, plus a constant.
TSENOR_FN int quarters_of(int x) { return int(bits_of(float(x)) >> (float_digits - 2)); }

// By how many bits weights are shifted, so that their geometric mean, which a few large ones hardly move, keeps
// usual_quarters / 4 digits; by more where less than half of the entries are kept, whose prices are larger. `exponents`:
// sums of so many rows' in each column.
template <class L>
constexpr int usual_quarters = L::width > 32 ? 34 : 29;
template <class L>
TSENOR_FN int shift_of(const typename L::index& exponents, int rows, const quotas<L>& quota, int side) {
  using index = typename L::index;
  const index zero = 0, inside = L::plain ? exponents : pick(quota.col > zero, exponents, zero);
  std::uint32_t sum = 0;
  L::for_each_lane([&](int i) { sum += std::uint32_t(L::own(inside, i)); });
  const int cols = L::plain ? L::width : L::count(quota.col > zero);
  const int mean = int(4 * L::tile_sum(sum)) / (rows * (cols > 0 ? cols : 1));
  const int shift = (mean - usual_quarters<L> + quarters_of(side) - quarters_of(scarce(quota.n, side))) >> 2;
  return shift < 0 ? 0 : shift < coarse_shift ? shift : coarse_shift;
}

// The sum of every fourth entry of each row (Rows) or column but for the largest, in 2^6.
template <bool Rows, class L>
TSENOR_FN typename L::index usual_entries(const L& l) {
  using index = typename L::index;
  index sum = 0, top = 0;
  for (int k = 0; k < L::width; k += 4) {
    const index x = largest(l.weights.template entry<Rows>(k), index(0)) >> 6;
    sum = sum + x;
    top = largest(top, x);
  }
  return sum - top;
}

// By how many bits where coarse_shift has turned out to be too coarse: by one more if prices of the largest row or column
// would be cut off.
template <class L>
TSENOR_FN int finer_shift(L& l, const quotas<L>& quota, int side) {
  using index = typename L::index;
  index exponents = 0;
  for (int k = 0; k < side; k++) exponents = exponents + exponents_of<L>(l.weights.col_entry(k));
  const int shift = shift_of<L>(exponents, side, quota, side);
  const int line = L::tile_largest(largest(usual_entries<true>(l), usual_entries<false>(l)));
  const int most = coarse_end * 3 / 32 * (side + 2 * scarce(quota.n, side)) >> 6;
  return shift + (shift < coarse_shift && line >> shift > most);
}

// By how many bits to begin with, told by the sample.
template <class L>
TSENOR_FN int first_shift(const typename L::index& exponents, const quotas<L>& quota, int side) {
  if constexpr (!tells_resolution<L>) return coarse_shift;
  return shift_of<L>(exponents, sampled_rows, quota, side);
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
    TSENOR_UNROLL for (int k = 0; k < L::coarse_count; k++) t[k] = entries.get(k, s) + prices[k];
    around_rank<L::coarse_count>(t, rank, nth, next);
    target.part[s] = L::coarse_midprice(nth, next);
  }
  const result now = over_relaxed<L>(first ? target : price, target, least, most);
  price = L::plain ? now : pick(quota > result(0), now, price);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
