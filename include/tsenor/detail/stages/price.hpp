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

constexpr int sweeps = 4;          // more cost what they save (see bench/NOTES.md)
constexpr int constant_steps = 4;  // as well

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

// A row's entries of surplus > 0.
template <class L, class Prices>
TSENOR_FN typename L::bits better_entries(L& l, const Prices& col, const fixed_prices<L>& prices) {
  using index = typename L::index;
  return L::bits::template negative<L::width>(
      [&](int k) { return index(0) - (l.weights.row_entry(k) + index(col[k]) + prices.row); });
}

// A sum over rows, and one over columns.
struct both_sums {
  float rows, cols;
};
template <class L>
TSENOR_FN both_sums sums_of(const typename L::index& row, const typename L::index& col) {
  std::uint32_t rows = 0, cols = 0;
  L::for_each_lane([&](int i) {
    rows += std::uint32_t(L::own(row, i));
    cols += std::uint32_t(L::own(col, i));
  });
  return {float(std::int32_t(L::tile_sum(rows))), float(std::int32_t(L::tile_sum(cols)))};
}

// By how much prices are above 0 where rows' go up by `up`, and columns' down.
template <class L>
TSENOR_FN both_sums cut_off(const fixed_prices<L>& prices, int up) {
  using index = typename L::index;
  return sums_of<L>(largest(prices.row + index(up), index(0)), largest(prices.col - index(up), index(0)));
}

// What rows and columns lack that are cut off then: less than nothing where rounded prices leave them more.
template <class L>
TSENOR_FN both_sums lacking(L& l, const fixed_prices<L>& prices, int up, int shift, const quotas<L>& quota) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0, unit = 1 << shift, row = prices.row + index(up), col = prices.col - index(up);
  const auto cut_cols = col > zero;
  const fixed_prices<L> cut{smallest(row, zero) * unit, smallest(col, zero) * unit};
  const bits better = better_entries(l, l.share(cut.col), cut), in_cut = better & bits(L::ballot(cut_cols));
  const both_sums s = sums_of<L>(pick(row > zero, quota.row - L::count(better), zero), L::count(in_cut));
  return {s.rows, float(quota.n * L::count(cut_cols)) - s.cols};
}

// By how much rows' prices go up and columns' down before they are cut off at 0, so that what was cut off lacks about as
// much in rows as in columns: the dual is least there. What is lacking is counted in the middle between `least` and
// `most`, and elsewhere taken to be in proportion to what is cut off. It stays off the ends, where the dual of scaled
// columns may be least but more is left to repair (see bench/NOTES.md).
template <class L>
TSENOR_APART int best_constant(typename L::memory& memory, const fixed_prices<L>& prices, int shift,
                               const quotas<L>& quota, int least, int most) {
  L::barrier();
  L l(memory);
  const int middle = (least + most) >> 1, margin = (most - least) >> 3;
  const both_sums lacks = lacking(l, prices, middle, shift, quota), cut = cut_off(prices, middle);
  const float by_row = (lacks.rows + 1) * (cut.cols + 1), by_col = (lacks.cols + 1) * (cut.rows + 1);
  least += margin;
  most -= margin;
  TSENOR_ROLLED for (int step = 0; step < constant_steps; step++) {
    const int up = (least + most) >> 1;
    const both_sums here = cut_off(prices, up);
    if (by_row * here.rows >= by_col * here.cols)
      most = up;
    else
      least = up;
  }
  L::barrier();
  return (least + most) >> 1;
}

// Where prices must not be positive, what is still positive is cut off. After the first sweep, where more than a few
// would be, their free constant, (u + c, v - c), is the best one for that; else, and where n is more than half of the
// lanes, it makes the largest u and the largest v equal. Sweeps that are cut off from the start leave the constant to
// the rows.
template <class L>
TSENOR_FN void make_not_positive(L& l, int shift, const quotas<L>& quota, bool first, typename L::coarse_result& row,
                                 typename L::coarse_result& col) {
  using index = typename L::index;
  const index zero = 0, least = coarse_least, u = L::widen(row), v = L::widen(col);
  const typename L::flag all(L::plain), is_row = all | (quota.row > zero), is_col = all | (quota.col > zero);
  const fixed_prices<L> inside{pick(is_row, u, least), pick(is_col, v, least)};
  const auto [row_top, col_top] = L::tile_largest_both(inside.row, inside.col);
  index up = (col_top - row_top) >> 1;
  if constexpr (L::width > 8)
    if (first) {
      const int cut = L::count(inside.row + up > zero) + L::count(inside.col - up > zero);
      const bool many = quota.at_most && cut > 2 && 2 * quota.n <= L::width;
      if (L::any_tile(many)) {
        const index best = best_constant<L>(l.mine, inside, shift, quota, -row_top, many ? col_top : -row_top);
        if (many) up = best;
      }
    }
  if (!quota.at_most) return;
  row = L::narrow(pick(is_row, largest(smallest(inside.row + up, zero), least), u));
  col = L::narrow(pick(is_col, largest(smallest(inside.col - up, zero), least), v));
}

// Sweeps over rows and columns at the lower resolution. Ends after the first half of the first if look(row prices) says
// so; returns whether all were made.
template <class L, class Look>
TSENOR_FN bool coarse_sweeps(L& l, const typename L::coarse_lines& lines, int shift, const quotas<L>& quota,
                             const Look& look, typename L::coarse_result& col) {
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
  const bool cuts = first_problem(quota).at_most;
  TSENOR_ROLLED for (int sweep = 0; sweep < sweeps; sweep++) {
    const int most = cuts && sweep > 0 ? 0 : coarse_most;
    const auto half_sweep = [&](bool rows) {
      coarse_sweep(l, rows ? lines.rows : lines.cols, rows ? col : row, sweep == 0, rows ? row_quota : col_quota, rank,
                   coarse_least, most, rows ? row : col);
    };
    if constexpr (begins_anew<L> && !L::plain) {  // in half of the code
      TSENOR_ROLLED for (int half = 0; half < 2; half++) {
        half_sweep(half == 0);
        if (half == 0 && sweep == 0 && look(row)) return false;
      }
    } else {
      half_sweep(true);
      if (begins_anew<L> && sweep == 0 && look(row)) return false;
      half_sweep(false);
    }
    if (!L::exactly && sweep < sweeps - 1 && L::any_tile(cuts))
      make_not_positive(l, shift, quota, sweep == 0, row, col);
  }
  return true;
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
