// The pipelines, from a tile of the caller's weights to the caller's outputs, for one group of lanes.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>

#include "tsenor/detail/problem.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The dual certificate in the potentials of the plan, truncated to the units of the optimal method's prices, and to
// +-2^30 of these. They have a free constant, (u + c, v - c). Where prices must not be positive, c makes the largest u
// and the largest v equal, and what is still positive is cut off. Where n = m all is kept, and no price is needed.
template <class L>
TSENOR_FN fixed_prices<L> certificate(const potentials<L>& u, pattern nm, bool at_most) {
  using real = typename L::real;
  const real unit = u.scale > 0.f && nm.n < nm.m ? 1.f / u.scale : 0.f, zero = 0.f;
  real row = u.row * unit, col = u.col * unit;
  const auto inside = L::lane() < typename L::index(nm.m);
  const float row_top = L::tile_largest(pick(inside, row, real(absent)));
  const float col_top = L::tile_largest(pick(inside, col, real(absent)));
  if (at_most) {
    const real shift = 0.5f * (col_top - row_top);
    row = smallest(row + shift, zero);
    col = smallest(col - shift, zero);
  }
  const auto fixed = [](const real& x) {
    const real most = float(1 << 30);
    return L::truncated(largest(smallest(x * real(float(1 << fixed_bits)), most), real(0.f) - most));
  };
  return {fixed(row), fixed(col)};
}

// load, dykstra, round, store (arXiv 2505.23949).
template <class L, class Weight, class Importance>
TSENOR_FN void solve_published(L& l, const problem<Weight, Importance>& problem, std::int64_t tile) {
  const tile_position at = position_of(problem.grid, problem.nm.m, tile);
  const bool exactly = problem.kept == constraint::exactly && !at.partial(problem.nm.m);
  const tile_scale scale = load(l, problem, at, problem.nm.m, problem.nm.m,
                                [&](int i, const auto& x) { l.importance.set_col_entry(i, as_reals<L>(x)); });
  l.importance.template seal<false>();
  const potentials<L> u = dykstra(l, scale, problem.nm, problem.tau, problem.iterations);
  mask_bits<L> mask = greedy(l, problem.nm);
  l.restore_importance();
  const int moves = local_search(l, mask, problem.nm, problem.local_search_steps, exactly);
  store(l, problem, at, tile, mask, certificate(u, problem.nm, !exactly), scale, effort{problem.iterations, moves},
        [](const auto&) {});
}

// The prices that a caller gave for the tile's columns, of weights of type T. One that is no number, or none beside
// these importances, makes the start a cold one.
template <class T, class L, class Weight, class Importance>
TSENOR_FN earlier_prices<L> read_prices_as(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                                           std::int64_t tile, const tile_scale& scale, bool at_most) {
  using index = typename L::index;
  const price_type<T>* const from = prices_in_memory<T>(problem, tile);
  const double per_unit = power_of_two(fixed_bits - scale.unit);
  const double most = at_most ? 0. : 1 << weight_bits;
  typename L::template lane_array<std::int32_t> col;
  bool numbers = at.exists;
  l.for_each_lane([&](int k) {
    const bool counts = at.exists && k < problem.nm.m;
    const double u = counts ? double(from[k]) : 0., v = counts ? double(from[problem.nm.m + k]) * per_unit : 0.;
    numbers = numbers && is_finite(u) && is_finite(v);
    col.of(k) = int(v > most ? most : v > -(1 << weight_bits) ? v : -(1 << weight_bits));
  });
  return {pick(L::lane() < index(at.cols), L::pack_of(col), index(0)), L::ballot(typename L::flag(!numbers)) == 0};
}
template <class L, class Weight, class Importance>
TSENOR_FN earlier_prices<L> read_prices(L& l, const problem<Weight, Importance>& problem, const tile_position& at,
                                        std::int64_t tile, const tile_scale& scale, bool at_most) {
  if constexpr (may_be_double<L, Weight>)
    if (problem.format == weight_format::binary64) return read_prices_as<double>(l, problem, at, tile, scale, at_most);
  return read_prices_as<Weight>(l, problem, at, tile, scale, at_most);
}

// Entries that keep nothing go, where rows and columns may keep fewer: only those of prices 0 can have them.
template <class L>
TSENOR_FN void drop_zeros(const L& l, const fixed_prices<L>& prices, const quotas<L>& quota, bool may_have,
                          mask_bits<L>& kept) {
  using bits = typename L::bits;
  using index = typename L::index;
  const index zero = 0;
  const auto in_row = prices.row == zero;
  const auto rows = L::ballot(in_row), cols = L::ballot((prices.col == zero) & (quota.col > zero));
  bits zeros(0);
  auto left = quota.at_most && may_have && rows != 0 ? cols : 0;
  TSENOR_ROLLED while (L::any_tile(left != 0)) {
    const int k = L::first(left);
    zeros = zeros | bits::one(index(k), in_row & !(l.weights.row_entry(k) > zero) & (left != 0));
    left &= left - 1;
  }
  if (!L::any(zeros.any())) return;
  kept.rows = kept.rows - zeros;
  kept.cols = L::transpose(kept.rows);
}

// An importance, which is below 2, as the nearest integer w, the greater of two: it is within 2^-25. What is added
// before truncation is the last number below 1/2, since 1/2 itself is rounded up with an odd integer that needs all 24
// bits. With x = importance * 2^24, which is exact: x + 1/2 is a number if x < 2^23, so nothing less is rounded to it
// or beyond, nor to an integer that it does not reach; and from 2^23 on x is an integer, to which less than half its
// last bit is added.
constexpr float nearly_half = 0x1.fffffep-2f;
template <class L>
TSENOR_FN typename L::real untruncated_weight(const typename L::real& importance) {
  using real = typename L::real;
  return importance * real(float(1 << fixed_bits)) + real(nearly_half);
}
template <class L>
TSENOR_FN typename L::index fixed_weight(const typename L::real& importance) {
  const typename L::index w = L::truncated(untruncated_weight<L>(importance));
  return L::plain ? w : pick(importance < typename L::real(0.f), typename L::index(outside), w);  // below 0: absent
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

// Of a double: its integer, which has a bit more than a float.
template <class L>
TSENOR_FN typename L::real untruncated_weight(const typename L::template lane_value<double>& importance) {
  const typename L::index w = fixed_weight<L>(importance);
  return L::template lane_by_lane<float>([&](int k) {
    const std::int32_t x = L::own(w, k);
    return float(x - (x >> fixed_bits & x & 1));
  });
}

// A tile's weights from load on: l.weights has them all.
template <class L>
struct loaded_weights {
  using real = typename L::real;
  using index = typename L::index;
  int side;
  real factor, added;  // of and to importances: 2^24 and 1/2 inside the tile, 0 and `outside` elsewhere
  typename L::held_column held;
  weight_sample<L> sample{0, 0};
  TSENOR_FN explicit loaded_weights(int m)
      : side(m),
        factor(pick(L::lane() < index(m), real(float(1 << fixed_bits)), real(0.f))),
        added(pick(L::lane() < index(m), real(nearly_half), real(float(outside)))) {}
  template <class Importances>
  TSENOR_FN void put(L& l, int i, const Importances& x) {
    index w;
    if constexpr (reads_again<L> && std::is_same_v<Importances, real>) {
      const real exact = is_row<L>(i, side) ? x * factor + added : real(float(outside));
      w = L::truncated(exact);
      l.weights.set_col_entry(i, w);
      if constexpr (L::holds_column) held.hold(i, exact);
    } else {
      w = fixed_weight<L>(x);
      l.weights.set_col_entry(i, w);
      if constexpr (L::holds_column) held.hold(i, untruncated_weight<L>(x));
    }
    if (is_sampled<L>(i)) {
      const index counted = L::plain ? w : largest(w, index(0));
      sample.digits = sample.digits | counted;
      if constexpr (tells_resolution<L>) sample.exponents = sample.exponents + exponents_of<L>(counted);
    }
  }
};

// The optimum under exactly N, and what is left of it where rows and columns may keep fewer. The free constant of
// prices becomes the one at which no column's is positive and rows' are the least. Where some rows' are positive still,
// they give up what is not worth keeping at 0.
template <class L>
TSENOR_APART void repair_exactly_first(typename L::memory& memory, const quotas<L>& quota, int side, taken<L>& result,
                                       effort& spent) {
  using index = typename L::index;
  L::barrier();
  L l(memory);
  taken<L> t = result;
  effort all = spent;
  repair(l, as_exactly(quota), t.kept, t.prices, all);
  const auto inside = L::lane() < index(side);
  const int row_top = L::tile_largest(pick(inside, t.prices.row, index(outside)));
  const int col_top = L::tile_largest(pick(inside, t.prices.col, index(outside)));
  t.prices.row = pick(inside, t.prices.row + index(col_top), index(0));
  t.prices.col = pick(inside, t.prices.col - index(col_top), index(0));
  if (L::any_tile(row_top + col_top > 0)) {
    typename L::bits best;
    balance_apart<L>(memory, true, quota, true, t.prices, best);
    t.kept.rows = t.kept.rows & best;
    t.kept.cols = L::transpose(t.kept.rows);
  }
  result = t;
  spent = all;
  L::barrier();
}

// load, price, take, repair, store.
template <class L, class Weight, class Importance>
TSENOR_FN void solve_optimal(L& l, const problem<Weight, Importance>& problem, std::int64_t tile) {
  using index = typename L::index;
  const tile_position at = L::whole ? position_of_whole_or_none(problem.grid, problem.nm.m, std::uint32_t(tile))
                                    : position_of(problem.grid, problem.nm.m, tile);
  const bool at_most = !L::exactly && (L::whole || problem.kept == constraint::at_most || at.partial(problem.nm.m));
  loaded_weights<L> loaded(problem.nm.m);
  const tile_scale scale = load(l, problem, at, at.rows, at.cols, [&](int i, const auto& x) { loaded.put(l, i, x); });
  const index n = problem.nm.n, zero = 0;
  const quotas<L> quota{L::plain ? n : pick(L::lane() < index(at.rows), n, zero),
                        L::plain ? n : pick(L::lane() < index(at.cols), n, zero),
                        problem.nm.n,
                        at_most,
                        fillers_of<L>(problem.nm.n, problem.nm.m),
                        is_exactly_first<L>(loaded.sample.digits, at_most && !at.partial(problem.nm.m))};
  const int shift = first_shift<L>(loaded.sample.exponents, quota, L::plain ? L::width : problem.nm.m);
  l.weights.template seal<false>();
  const earlier_prices<L> earlier = L::masks_only || !problem.warm ? earlier_prices<L>{zero, false}
                                                                   : read_prices(l, problem, at, tile, scale, at_most);
  fixed_prices<L> prices;
  price(l, loaded.held, shift, quota, earlier, problem.nm.m, prices.col);
  mask_bits<L> kept;
  const bool care = take(l, loaded.sample.digits, prices, quota, problem.nm.m, kept);
  effort spent{0, 0};
  if constexpr (may_be_exactly_first<L>)
    if (L::any_tile(quota.exactly_first)) {
      taken<L> t{prices, kept};
      repair_exactly_first<L>(l.mine, quota, problem.nm.m, t, spent);
      prices = t.prices;
      kept = t.kept;
    }
  repair(l, quota, kept, prices, spent);
  const bool may_have_zeros = care || quota.exactly_first || spent.moves != 0;
  if constexpr (!L::exactly) drop_zeros(l, prices, quota, may_have_zeros, kept);
  store(l, problem, at, tile, kept, prices, scale, spent, [&](auto& p) { centre(l, quota, p); });
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
