// load: the tile's importances, scaled by a power of two, into l.importance.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_LOAD_STAGE)
#define TSENOR_LOAD_STAGE

#include <cstdint>
#include <cstring>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// An entry outside the M x M tile, in the lanes and columns that a smaller M leaves over: its plan is 0.
constexpr float absent = -1e30f;

// The first m columns.
template <class L>
TSENOR_FN typename L::tile_set first_members(int m) {
  using set = typename L::tile_set;
  return set(~set(0)) >> (sizeof(set) * 8 - m);
}

struct tile_scale {
  int exponent;   // importances are 2^exponent times what l.importance holds, before squaring if they are squared
  float largest;  // in l.importance
  int replaced;   // NaN, negative or infinite importances
};

// The importance that l's numbers count in is 2 to the power of this.
template <class Importance>
TSENOR_FN int unit_exponent(const tile_scale& scale) {
  return squares_after_scaling<Importance> ? 2 * scale.exponent : scale.exponent;
}

// What a pipeline did, for the report.
struct effort {
  int iterations, moves;
};

// The importance of the tile's element (i, j), or what stands under the square.
template <class Weight, class Importance>
TSENOR_FN importance_value<Weight> importance_at(const problem<Weight, Importance>& p, const tile_position& at, int i,
                                                 int j) {
  const std::int64_t row = at.row + i, col = at.col + j;
  const Weight w = p.weights.data[at.batch * p.weights.batch_stride + row * p.weights.row_stride + col];
  return p.importance(to_arithmetic(w), row, col, at.batch);
}

// The importances of a tile as they are, 0 outside it: kept where a machine has room for them, else asked for again.
template <class L, class Weight, class Importance>
struct raw_importances {
  using value = importance_value<Weight>;
  const problem<Weight, Importance>& p;
  const tile_position& at;
  typename L::template lane_array<value> kept[L::holds_tile ? L::width : 1];

  TSENOR_FN raw_importances(L& l, const problem<Weight, Importance>& p_, const tile_position& at_) : p(p_), at(at_) {
    if constexpr (L::holds_tile) {
      if (L::plain || (at.rows == L::width && at.cols == L::width)) {  // no test in the loops
        TSENOR_UNROLL for (int i = 0; i < L::width; i++)
            l.for_each_lane([&](int j) { kept[i].of(j) = importance_at(p, at, i, j); });
      } else {
        TSENOR_UNROLL for (int i = 0; i < L::width; i++) l.for_each_lane([&](int j) { kept[i].of(j) = ask(i, j); });
      }
    }
  }
  TSENOR_FN value ask(int i, int j) const {
    return L::plain || (i < at.rows && j < at.cols) ? importance_at(p, at, i, j) : value(0);
  }
  TSENOR_FN value operator()(int i, int j) {
    if constexpr (L::holds_tile)
      return kept[i].of(j);
    else
      return ask(i, j);
  }
};

// The largest bits of all; bits of numbers that are not negative are ordered as the numbers, NaN and negative ones above.
template <class L, class Raw>
TSENOR_FN auto largest_bits(L& l, Raw& raw) {
  using bits = decltype(bits_of(raw(0, 0)));
  typename L::template lane_array<bits> top;
  l.for_each_lane([&](int j) { top.of(j) = 0; });
  TSENOR_UNROLL for (int i = 0; i < L::width; i++) l.for_each_lane([&](int j) {
    const bits b = bits_of(raw(i, j));
    top.of(j) = top.of(j) > b ? top.of(j) : b;
  });
  bits most = 0;
  l.for_each_lane([&](int j) { most = most > top.of(j) ? most : top.of(j); });
  return l.tile_max(most);
}

// Counts what is to be replaced, finds the largest importance of the rest.
template <class L, class Raw, class Value>
TSENOR_FN int count_unclean(L& l, Raw& raw, Value& largest) {
  int replaced = 0;
  Value most = 0;
  for (int i = 0; i < L::width; i++)
    l.for_each_lane([&](int j) {
      const Value x = clean(raw.ask(i, j));
      replaced += unclean(raw.ask(i, j));
      most = most > x ? most : x;
    });
  largest = l.tile_max(most);
  return l.tile_sum(replaced);
}

// Calls put(i, j, importance), scaled, for all entries; those outside the first `rows` and `cols` of the lanes are absent, those
// outside the tile have no importance.
template <class L, class Weight, class Importance, class Put>
TSENOR_FN tile_scale load(L& l, const problem<Weight, Importance>& p, const tile_position& at, int rows, int cols,
                          const Put& put) {
  using value = importance_value<Weight>;
  raw_importances<L, Weight, Importance> raw(l, p, at);
  const auto most = largest_bits(l, raw);
  value largest;
  std::memcpy(&largest, &most, sizeof largest);
  const bool dirty = l.any_tile(!is_clean(largest));
  const int replaced = dirty ? count_unclean(l, raw, largest) : 0;
  const int exponent = exponent_of(largest);
  const auto scaled = [&](const value& importance) {
    const float x = scaled_down(importance, exponent);
    return squares_after_scaling<Importance> ? x * x : x;
  };
  const auto put_scaled = [&](int i, int j, const value& importance) {
    put(i, j, L::plain || (i < rows && j < cols) ? scaled(importance) : absent);
  };
  if (dirty || !L::holds_tile) {
    for (int i = 0; i < L::width; i++) l.for_each_lane([&](int j) { put_scaled(i, j, clean(raw.ask(i, j))); });
  } else {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) l.for_each_lane([&](int j) { put_scaled(i, j, raw(i, j)); });
  }
  return {exponent, scaled(largest), replaced};
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
