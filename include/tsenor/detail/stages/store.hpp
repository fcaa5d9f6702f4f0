// store: the mask, packed rows, pruned weights and report of a tile. It alone knows outputs and report.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cfloat>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/certified.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"
#include "tsenor/report.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

template <class T>
TSENOR_FN T& element_of(const output_buffer<T>& b, const tile_position& at, int i, int j) {
  return b.data[at.batch * b.batch_stride + (at.row + i) * b.row_stride + at.col + j];
}

// The word of a packed row: as wide as the lanes of a tile.
template <int Width>
using packed_word = std::conditional_t<
    Width <= 8, std::uint8_t,
    std::conditional_t<Width == 16, std::uint16_t, std::conditional_t<Width == 32, std::uint32_t, std::uint64_t>>>;

template <class Word, class Weight, class Importance>
TSENOR_FN Word& packed_row(const problem<Weight, Importance>& problem, const tile_position& at, int i) {
  const auto& b = problem.out.packed;
  return static_cast<Word*>(b.data)[at.batch * b.batch_stride + (at.row + i) * b.row_stride + at.tile_col];
}

// The bytes of a row, 1 where an entry is kept.
template <class L>
TSENOR_FN void store_bytes(std::uint8_t* to, typename L::tile_set row, int cols) {
  if (cols == L::width && L::stores_whole_rows(to))
    L::store_whole_row(to, row);
  else
    for (int j = 0; j < cols; j++) to[j] = row >> j & 1u;
}

// Whether lanes store their rows of the mask in whole words. Where they don't, the tile's lanes store a row together, a
// byte each.
template <class L, class Weight, class Importance>
TSENOR_FN bool stores_own_rows(const problem<Weight, Importance>& problem) {
  const auto& mask = problem.out.mask;
  return L::plain || L::one_at_a_time ||
         (problem.nm.m == L::width && L::stores_whole_rows(mask.data) &&
          L::stores_whole_rows(mask.data + mask.row_stride) && L::stores_whole_rows(mask.data + mask.batch_stride));
}

// A lane stores its row of the masks.
template <class L, class Weight, class Importance>
TSENOR_FN void store_masks(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                           const typename L::bits& rows) {
  const int count = at.exists ? at.rows : 0, cols = at.cols;
  if (problem.out.mask.data) {
    std::uint8_t* const to = &element_of(problem.out.mask, at, 0, 0);
    const std::int64_t stride = problem.out.mask.row_stride;
    if (stores_own_rows<L>(problem)) {
      l.for_each_lane([&](int i) {
        if (i < count) store_bytes<L>(to + i * stride, L::own(rows, i), cols);
      });
    } else {
      for (int i = 0; i < problem.nm.m; i++) {
        const auto row = L::at(rows, i);
        l.for_each_lane([&](int j) {
          if (i < count && j < cols) to[i * stride + j] = row >> j & 1u;
        });
      }
    }
  }
  if (problem.out.packed.data) {
    using word = packed_word<L::width>;
    word* const to = &packed_row<word>(problem, at, 0);
    const std::int64_t stride = problem.out.packed.row_stride;
    l.for_each_lane([&](int i) {
      if (i < count) to[i * stride] = word(L::own(rows, i) & first_members<L>(cols));
    });
  }
}

// f of an unsigned number as wide as a weight, or of a weight where its type is known.
template <class Weight, class Importance, class F>
TSENOR_FN void with_bits_of_weight(const problem<Weight, Importance>& problem, const F& f) {
  if constexpr (std::is_same_v<Weight, any_weight>) {
    if (problem.format == weight_format::binary32) return f(std::uint32_t{});
    if (problem.format == weight_format::binary64) return f(std::uint64_t{});
    if (problem.format == weight_format::e4m3 || problem.format == weight_format::e5m2) return f(std::uint8_t{});
    f(std::uint16_t{});
  } else {
    f(Weight{});
  }
}

template <class L, class T>
TSENOR_FN void store_pruned_row(T* to, const T* weights, typename L::tile_set row) {
  std::uint8_t keeps[L::width];
  L::store_whole_row(keeps, row);
  T pruned[L::width];  // compilers make vector code of this loop
  for (int j = 0; j < L::width; j++) pruned[j] = keeps[j] ? weights[j] : T{};
  std::memcpy(to, pruned, sizeof pruned);
}

// The pruned weights: each lane stores its column, or one thread rows. Weights may lie where they are stored, so a lane
// asks for several before it stores them, and then waits for all at once.
template <class T, class L, class Weight, class Importance>
TSENOR_FN void store_pruned(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                            const mask_bits<L>& mask) {
  constexpr int rows_at_once = L::width < 8 ? L::width : 8;
  const auto& b = problem.out.pruned;
  T* const to = reinterpret_cast<T*>(b.data) + (at.batch * b.batch_stride + at.row * b.row_stride + at.col);
  if constexpr (L::one_at_a_time)
    if (at.cols == L::width) {
      for (int i = 0; i < at.rows; i++)
        store_pruned_row<L>(to + i * b.row_stride, &weight_at<T>(problem, at, i, 0), L::at(mask.rows, i));
      return;
    }
  for (int first = 0; first < at.rows; first += rows_at_once)
    l.for_each_lane([&](int j) {
      if (j >= at.cols || !at.exists) return;
      T* const col = to + first * b.row_stride + j;
      T x[rows_at_once];
      const auto keeps = L::own(mask.cols, j) & first_members<L>(at.rows);  // it may keep what lies outside
      TSENOR_UNROLL for (int i = 0; i < rows_at_once; i++) x[i] =
          keeps >> (first + i) & 1u ? weight_at<T>(problem, at, first + i, j) : T{};
      TSENOR_UNROLL for (int i = 0; i < rows_at_once; i++) if (first + i < at.rows) col[i * b.row_stride] = x[i];
    });
}

// The original importances of row i, cleaned where the tile has some to clean, 0 outside it. The lambda returns
// nothing: gcc compiles generic ones without their machine's instruction set, and so returns vectors otherwise than its
// callers expect.
template <class L, class T, class Weight, class Importance>
TSENOR_FN auto original_row(const problem<Weight, Importance>& problem, const tile_position& at, int i, bool dirty) {
  using value = importance_value<T>;
  typename L::template lane_value<value> row;
  with_weight_type<T>(problem, [&](auto weight) {
    using type = decltype(weight);
    if (L::one_at_a_time && !dirty && at.cols == L::width) {  // no test in the loop
      row = L::template lane_by_lane<value>([&](int j) { return importance_at<type>(problem, at, i, j); });
    } else {
      row = L::template lane_by_lane<value>([&](int j) {
        const value x = j < at.cols ? importance_at<type>(problem, at, i, j) : value(0);
        return dirty ? clean(x) : x;
      });
    }
  });
  return row;
}

// What a lane adds up of its column: what is kept, and the first two sums of G (certified.hpp), in multiples of 2^-24
// of scaled importances. Sums of what is kept are exact while importances have 24 bits and none but 0 is less than 2^7,
// since they are multiples of 2^-16 below 2^37 then.
template <class L>
struct tally {
  using numbers = typename L::template lane_value<double>;
  static constexpr double least_of_exact = 1 << 7;
  numbers kept, open, least;
  bool short_numbers = true;  // of 24 bits

  TSENOR_FN tally() : kept(0.), open(0.), least(least_of_exact) {}

  // `keeps`: 1 or 0. A price is added to a price first, which is exact. `Exact`: there are no errors.
  template <bool Exact>
  TSENOR_FN void add(const numbers& x, const numbers& error, const numbers& keeps, const numbers& prices) {
    const numbers zero = 0., value = x * keeps, surplus = x + prices;
    const numbers against = pick(keeps > zero, zero - surplus, surplus);
    kept = kept + value;
    least = smallest(least, pick(value > zero, value, least));
    open = open + largest(Exact ? against : against + error, zero);
  }
  TSENOR_FN void note_bits(double x, double error) {
    short_numbers = short_numbers && bits_of(x) << 35 == 0 && error == 0;
  }
};

// The sums of a tile's lanes, with the third sum of G. Of sums of numbers that are not negative a rounding of 2^-53 is
// left for each of the 64 + 64 numbers that one is added to after the other, and in G for the 128 lines and each term's
// own.
template <class L, class Weight, class Importance>
TSENOR_FN certified certified_tile(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                                   const mask_bits<L>& mask, const fixed_prices<L>& prices, const tally<L>& t,
                                   int unit) {
  using bits = typename L::bits;  // the published method may keep what lies outside a smaller tile
  const typename L::index in_row = L::count(mask.rows & bits(first_members<L>(at.cols))),
                          in_col = L::count(mask.cols & bits(first_members<L>(at.rows)));
  double kept = 0, open = 0, least = t.least_of_exact;
  l.for_each_lane([&](int k) {
    kept += L::own(t.kept, k);
    open += L::own(t.open, k);
    least = least < L::own(t.least, k) ? least : L::own(t.least, k);
    if (k < at.rows) open -= double(problem.nm.n - L::own(in_row, k)) * L::own(prices.row, k);
    if (k < at.cols) open -= double(problem.nm.n - L::own(in_col, k)) * L::own(prices.col, k);
  });
  kept = l.tile_sum(kept);
  open = l.tile_sum(open);
  const double inexact = l.tile_max(t.short_numbers && least >= t.least_of_exact ? 0. : 1.);
  return certified_sums(kept + kept * (inexact * 0x1p-45), open + open * 0x1p-44, unit);
}

// Value and bound from the original importances of weights of type T.
template <class T, class L, class Weight, class Importance>
TSENOR_FN void store_report(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                            std::int64_t tile, const mask_bits<L>& mask, const fixed_prices<L>& prices,
                            const tile_scale& scale, const effort& spent) {
  using numbers = typename L::template lane_value<double>;
  const int unit = scale.unit - fixed_bits;
  const in_units<Importance, importance_value<T>> of(scale.exponent, unit);
  const numbers v = L::template lane_by_lane<double>(
      [&](int j) { return j < at.cols ? double(L::own(prices.col, j)) : -1e30; });  // outside: no surplus
  tally<L> t;
  for (int i = 0; i < problem.nm.m; i++) {
    const auto row = L::at(mask.rows, i);
    const double u = L::at(prices.row, i);
    if (i >= at.rows) continue;
    numbers error = 0.;
    const auto raw = original_row<L, T>(problem, at, i, scale.replaced != 0);
    const numbers x = L::template lane_by_lane<double>([&](int j) { return of(L::own(raw, j)); });
    if constexpr (!of.exact_in_24_bits) {
      error = L::template lane_by_lane<double>([&](int j) { return of.error(L::own(raw, j), L::own(x, j)); });
      l.for_each_lane([&](int j) { t.note_bits(L::own(x, j), L::own(error, j)); });
    }
    t.template add<of.exact_in_24_bits>(
        x, error, L::template lane_by_lane<double>([&](int j) { return double(int(row >> j & 1u)); }), numbers(u) + v);
  }
  const certified sums = certified_tile(l, problem, at, mask, prices, t, unit);
  const std::uint32_t flags =
      (at.partial(problem.nm.m) ? report_partial_tile : 0u) | (scale.replaced ? report_replaced_inputs : 0u);
  l.for_each_lane([&](int j) {
    if (j == 0 && at.exists)
      problem.out.reports[tile] = {sums.value, sums.bound, spent.iterations, spent.moves, scale.replaced, flags};
  });
}

// Prices in multiples of 2^unit as they are stored. One beyond the range of its type becomes the last of the range: any
// finite prices bound the optimum. 2^unit itself may be no number beside importances of double: two factors then.
template <class Stored>
struct stored_prices {
  static constexpr bool doubles = std::is_same_v<Stored, double>;
  double first, second;

  TSENOR_FN explicit stored_prices(int unit)
      : first(power_of_two(doubles ? unit / 2 : unit)), second(doubles ? power_of_two(unit - unit / 2) : 1.) {}
  TSENOR_FN Stored operator()(double units) const {
    constexpr double most = doubles ? DBL_MAX : double(FLT_MAX);
    const double x = units * first * second;
    return Stored(x > most ? most : x < -most ? -most : x);
  }
};

// A lane stores the prices of its row and its column, 0 outside the tile.
template <class T, class L, class Weight, class Importance>
TSENOR_FN void store_prices(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                            std::int64_t tile, const fixed_prices<L>& prices, int unit) {
  using stored = price_type<T>;
  stored* const to = prices_in_memory<T>(problem, tile);
  const stored_prices<stored> as_stored(unit);
  l.for_each_lane([&](int k) {
    if (k >= problem.nm.m || !at.exists) return;
    to[k] = k < at.rows ? as_stored(L::own(prices.row, k)) : stored(0);
    to[problem.nm.m + k] = k < at.cols ? as_stored(L::own(prices.col, k)) : stored(0);
  });
}

// The outputs that depend on the type T of the weights. The report is made of the prices as they are, whether prices
// are wanted or not; settle(prices) makes them those that are stored.
template <class T, class L, class Weight, class Importance, class Settle>
TSENOR_FN void store_certificate(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                                 std::int64_t tile, const mask_bits<L>& mask, fixed_prices<L>& prices,
                                 const tile_scale& scale, const effort& spent, const Settle& settle) {
  if (problem.out.reports) store_report<T>(l, problem, at, tile, mask, prices, scale, spent);
  if (!problem.out.prices) return;
  settle(prices);
  store_prices<T>(l, problem, at, tile, prices, scale.unit - fixed_bits);
}

template <class L, class Weight, class Importance, class Settle>
TSENOR_FN void store(L& l, const problem<Weight, Importance>& problem, const tile_position& at, std::int64_t tile,
                     const mask_bits<L>& mask, fixed_prices<L> prices, const tile_scale& scale, const effort& spent,
                     const Settle& settle) {
  if constexpr (L::masks_only) return store_masks(l, problem, at, mask.rows);
  if constexpr (may_be_double<L, Weight>) {
    if (problem.format == weight_format::binary64)
      store_certificate<double>(l, problem, at, tile, mask, prices, scale, spent, settle);
    else
      store_certificate<any_weight>(l, problem, at, tile, mask, prices, scale, spent, settle);
  } else {
    store_certificate<Weight>(l, problem, at, tile, mask, prices, scale, spent, settle);
  }
  if (problem.out.pruned.data)  // after the report: it may be in place
    with_bits_of_weight(problem, [&](auto weight) { store_pruned<decltype(weight)>(l, problem, at, mask); });
  store_masks(l, problem, at, mask.rows);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
