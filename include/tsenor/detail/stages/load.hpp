// load: the tile's importances, scaled by a power of two, into l.importance.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_LOAD_STAGE)
#define TSENOR_LOAD_STAGE

#include <cstdint>
#include <cstring>

#include "tsenor/detail/lanes/pack.hpp"
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

// x * 2^-exponent in each lane, as scaled_down() of one number.
template <class L>
TSENOR_FN typename L::real scaled_lanes(const typename L::real& x, int exponent) {
  const int half = exponent / 2;
  return x * typename L::real(float_of_bits(std::uint32_t(127 - half) << 23)) *
         typename L::real(float_of_bits(std::uint32_t(127 - exponent + half) << 23));
}
template <class L>
TSENOR_FN typename L::real scaled_lanes(const typename L::template lane_value<double>& x, int exponent) {
  return L::template lane_by_lane<float>([&](int j) { return detail::scaled_down(L::own(x, j), exponent); });
}

// What a pipeline did, for the report.
struct effort {
  int iterations, moves;
};

template <class Weight, class Importance>
TSENOR_FN const Weight& weight_at(const problem<Weight, Importance>& p, const tile_position& at, int i, int j) {
  const auto& w = p.weights;
  const Weight* const col = w.data + (at.batch * w.batch_stride + at.row * w.row_stride + at.col + j);
  return col[i * w.row_stride];  // what differs between the weights of a lane is the same for all lanes
}

// The importance of the tile's element (i, j), or what stands under the square.
template <class Weight, class Importance>
TSENOR_FN importance_value<Weight> importance_at(const problem<Weight, Importance>& p, const tile_position& at, int i,
                                                 int j) {
  return importance_value<Weight>(
      p.importance(to_arithmetic(weight_at(p, at, i, j)), at.row + i, at.col + j, at.batch));
}

// The importances of a tile as they are, 0 outside it, a row at a time: kept where a machine has room for them, else asked
// for again.
template <class L, class Weight, class Importance>
struct raw_importances {
  using value = importance_value<Weight>;
  using row = typename L::template lane_value<value>;
  const problem<Weight, Importance>& p;
  const tile_position& at;
  row kept[L::holds_tile ? L::width : 1];

  TSENOR_FN raw_importances(const problem<Weight, Importance>& p_, const tile_position& at_) : p(p_), at(at_) {
    if constexpr (L::holds_tile) {
      if (L::plain || (at.rows == L::width && at.cols == L::width)) {  // no test in the loops
        TSENOR_UNROLL for (int i = 0; i < L::width; i++) kept[i] =
            L::template lane_by_lane<value>([&](int j) { return importance_at(p, at, i, j); });
      } else {
        TSENOR_UNROLL for (int i = 0; i < L::width; i++) kept[i] = ask(i);
      }
    }
  }
  TSENOR_FN value ask(int i, int j) const {
    return L::plain || (i < at.rows && j < at.cols) ? importance_at(p, at, i, j) : value(0);
  }
  TSENOR_FN row ask(int i) const {
    return L::template lane_by_lane<value>([&](int j) { return ask(i, j); });
  }
  TSENOR_FN row operator()(int i) const {
    if constexpr (L::holds_tile)
      return kept[i];
    else
      return ask(i);
  }
};

// The largest bits of all; bits of numbers that are not negative are ordered as the numbers, NaN and negative ones above.
template <class L, class Raw>
TSENOR_FN auto largest_bits(const Raw& raw) {
  using bits = typename L::template lane_value<decltype(bits_of(typename Raw::value()))>;
  bits top = 0;
  TSENOR_UNROLL for (int i = 0; i < L::width; i++) top = largest(top, same_bits<bits>(raw(i)));
  return L::tile_largest(top);
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

// Calls put(i, importances), scaled, for all rows; entries outside the first `rows` and `cols` of the lanes are absent, those
// outside the tile have no importance.
template <class L, class Weight, class Importance, class Put>
TSENOR_FN tile_scale load(L& l, const problem<Weight, Importance>& p, const tile_position& at, int rows, int cols,
                          const Put& put) {
  using value = importance_value<Weight>;
  raw_importances<L, Weight, Importance> raw(p, at);
  const auto most = largest_bits<L>(raw);
  value largest;
  std::memcpy(&largest, &most, sizeof largest);
  const bool dirty = l.any_tile(!is_clean(largest));
  const int replaced = dirty ? count_unclean(l, raw, largest) : 0;
  const int exponent = exponent_of(largest);
  const auto square = [](const auto& x) { return squares_after_scaling<Importance> ? x * x : x; };
  const bool whole = L::plain || (L::one_at_a_time && rows == L::width && cols == L::width);
  const auto put_scaled = [&](int i, const auto& importances) {
    const typename L::real x = square(scaled_lanes<L>(importances, exponent));
    put(i, L::plain ? x : pick((L::lane() < typename L::index(cols)) & (i < rows), x, typename L::real(absent)));
  };
  if (dirty || !L::holds_tile) {
    for (int i = 0; i < L::width; i++)
      put_scaled(i, L::template lane_by_lane<value>([&](int j) { return clean(raw.ask(i, j)); }));
  } else if (whole) {  // no test in the loop
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put(i, square(scaled_lanes<L>(raw(i), exponent)));
  } else {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put_scaled(i, raw(i));
  }
  return {exponent, square(detail::scaled_down(largest, exponent)), replaced};
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
