// load: the tile's importances, scaled by a power of two, into l.importance.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_LOAD_STAGE)
#define TSENOR_LOAD_STAGE

#include <cstdint>
#include <cstring>
#include <type_traits>

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

// f of a value of the type that the weights have in memory.
template <class Weight, class Importance, class F>
TSENOR_FN auto with_weight_type(const problem<Weight, Importance>& p, const F& f) {
  if constexpr (std::is_same_v<Weight, any_weight>) {
    if (p.format == weight_format::binary32) return f(float{});
    if constexpr (treats_doubles<Importance>)
      if (p.format == weight_format::binary64) return f(double{});
    switch (p.format) {
      case weight_format::binary16:
        return f(float16{});
      case weight_format::bfloat16:
        return f(bfloat16{});
      case weight_format::e4m3:
        return f(float8_e4m3{});
      default:
        return f(float8_e5m2{});
    }
  } else {
    return f(Weight{});
  }
}

// f of a value of the type that prices have in memory.
template <class Weight, class Importance, class F>
TSENOR_FN auto with_price_type(const problem<Weight, Importance>& p, const F& f) {
  if constexpr (std::is_same_v<Weight, any_weight>)
    return p.format == weight_format::binary64 ? f(double{}) : f(float{});
  else
    return f(price_type<Weight>{});
}

// Weights of type T, which with_weight_type says.
template <class T, class Weight, class Importance>
TSENOR_FN const T& weight_at(const problem<Weight, Importance>& p, const tile_position& at, int i, int j) {
  const auto& w = p.weights;
  const T* const data = reinterpret_cast<const T*>(w.data);
  const T* const col = data + (at.batch * w.batch_stride + at.row * w.row_stride + at.col + j);
  return col[i * w.row_stride];  // what differs between the weights of a lane is the same for all lanes
}

// The importance of the tile's element (i, j), or what stands under the square.
template <class T, class Weight, class Importance>
TSENOR_FN importance_value<T> importance_at(const problem<Weight, Importance>& p, const tile_position& at, int i,
                                            int j) {
  return p.importance(to_arithmetic(weight_at<T>(p, at, i, j)), at.row + i, at.col + j, at.batch);
}

// The importances of a tile as they are, 0 outside it, a row at a time: kept where a machine has room for them, or in
// l.importance, where lanes find their own columns again; doubles have no room there and are asked for again.
template <class L, class Weight, class Importance>
struct raw_importances {
  using value = importance_value<Weight>;
  using row = typename L::template lane_value<value>;
  using bits = typename L::template lane_value<decltype(bits_of(value()))>;
  static constexpr bool in_tile = !L::holds_tile && std::is_same_v<value, float>;
  L& l;
  const problem<Weight, Importance>& p;
  const tile_position& at;
  row kept[L::holds_tile ? L::width : 1];
  int exponent = 0, replaced = 0;  // of doubles among weights of any type, which are kept cleaned and scaled
  // The largest bits of a lane: ordered as numbers that are not negative are, NaN and negative ones above.
  bits top = 0;

  TSENOR_FN raw_importances(L& l_, const problem<Weight, Importance>& p_, const tile_position& at_)
      : l(l_), p(p_), at(at_) {}
  TSENOR_FN bool inside(int i, int j) const { return L::plain || (i < at.rows && j < at.cols); }
  TSENOR_FN value ask(int i, int j) const {
    if constexpr (in_tile)
      return l.importance.element(i, j);
    else
      return with_weight_type(p, [&](auto weight) {
        return inside(i, j) ? value(importance_at<decltype(weight)>(p, at, i, j)) : value(0);
      });
  }
  TSENOR_FN void keep(int i, const row& x) {
    if constexpr (L::holds_tile) kept[i] = x;
    if constexpr (in_tile) l.importance.set_col_entry(i, x);
  }
};

// Counts what is to be replaced of ask(i, j), finds the largest importance of the rest.
template <class L, class Ask, class Value>
TSENOR_FN int count_unclean(L& l, const Ask& ask, Value& largest) {
  int replaced = 0;
  Value most = 0;
  for (int i = 0; i < L::width; i++)
    l.for_each_lane([&](int j) {
      const Value x = clean(ask(i, j));
      replaced += unclean(ask(i, j));
      most = most > x ? most : x;
    });
  largest = l.tile_max(most);
  return l.tile_sum(replaced);
}

// Fills `raw` with importances of weights of type T; `Whole`: no entry is outside.
template <class T, bool Whole, class L, class Weight, class Importance>
TSENOR_FN void fill_as(raw_importances<L, Weight, Importance>& raw) {
  using value = importance_value<Weight>;
  using bits = typename raw_importances<L, Weight, Importance>::bits;
  const auto& p = raw.p;
  const tile_position& at = raw.at;
  bits top = 0;
  TSENOR_UNROLL for (int i = 0; i < L::width; i++) {
    const auto x = L::template lane_by_lane<value>(
        [&](int j) { return Whole || raw.inside(i, j) ? importance_at<T>(p, at, i, j) : value(0); });
    raw.keep(i, x);
    top = largest(top, same_bits<bits>(x));
  }
  raw.top = top;
}

// Doubles as floats, scaled by a power of two.
template <bool Whole, class L, class Importance>
TSENOR_FN void fill_from_doubles(raw_importances<L, any_weight, Importance>& raw) {
  using bits = typename L::template lane_value<std::uint64_t>;
  const auto& p = raw.p;
  const tile_position& at = raw.at;
  const auto ask = [&](int i, int j) { return Whole || raw.inside(i, j) ? importance_at<double>(p, at, i, j) : 0.; };
  bits top = 0;
  for (int i = 0; i < L::width; i++)
    top = largest(top, same_bits<bits>(L::template lane_by_lane<double>([&](int j) { return ask(i, j); })));
  double most = double_of_bits(L::tile_largest(top));
  const bool dirty = raw.l.any_tile(!is_clean(most));
  if (dirty) raw.replaced = count_unclean(raw.l, ask, most);
  raw.exponent = exponent_of(most);
  TSENOR_UNROLL for (int i = 0; i < L::width; i++) {
    const auto x = L::template lane_by_lane<double>([&](int j) { return dirty ? clean(ask(i, j)) : ask(i, j); });
    const typename L::real scaled = scaled_lanes<L>(x, raw.exponent);
    raw.keep(i, scaled);
    raw.top = largest(raw.top, same_bits<decltype(raw.top)>(scaled));
  }
}

// Weights read as their type says, as many rows as there are registers for, and then treated as floats, so that an importance
// is compiled once.
template <bool Whole, class L, class Importance>
TSENOR_FN void fill_from_floats(raw_importances<L, any_weight, Importance>& raw) {
  const auto& p = raw.p;
  const tile_position& at = raw.at;
  constexpr int rows = L::width < 32 ? L::width : 32;
  for (int first = 0; first < L::width; first += rows) {
    typename L::real w[rows];
    with_weight_type(p, [&](auto weight) {
      using T = decltype(weight);
      TSENOR_UNROLL for (int i = 0; i < rows; i++) w[i] = L::template lane_by_lane<float>([&](int j) {
        return Whole || raw.inside(first + i, j) ? float(to_arithmetic(weight_at<T>(p, at, first + i, j))) : 0.f;
      });
    });
    TSENOR_UNROLL for (int i = 0; i < rows; i++) {
      const auto x = L::template lane_by_lane<float>([&](int j) {
        const bool inside = Whole || raw.inside(first + i, j);
        return inside ? float(p.importance(L::own(w[i], j), at.row + first + i, at.col + j, at.batch)) : 0.f;
      });
      raw.keep(first + i, x);
      raw.top = largest(raw.top, same_bits<decltype(raw.top)>(x));
    }
  }
}

template <bool Whole, class L, class Weight, class Importance>
TSENOR_FN void fill(raw_importances<L, Weight, Importance>& raw) {
  fill_as<Weight, Whole>(raw);
}
template <bool Whole, class L, class Importance>
TSENOR_STAGE void fill(raw_importances<L, any_weight, Importance>& raw) {
  if constexpr (treats_doubles<Importance>)
    if (raw.p.format == weight_format::binary64) return fill_from_doubles<Whole>(raw);
  if constexpr (L::one_at_a_time)
    with_weight_type(raw.p, [&](auto weight) {
      if constexpr (!std::is_same_v<decltype(weight), double>) fill_as<decltype(weight), Whole>(raw);
    });
  else
    fill_from_floats<Whole>(raw);
}

// Calls put(i, importances), scaled, for all rows; entries outside the first `rows` and `cols` of the lanes are absent, those
// outside the tile have no importance.
template <class L, class Weight, class Importance, class Put>
TSENOR_FN tile_scale load(L& l, const problem<Weight, Importance>& p, const tile_position& at, int rows, int cols,
                          const Put& put) {
  using value = importance_value<Weight>;
  raw_importances<L, Weight, Importance> raw(l, p, at);
  if (L::plain || (L::holds_tile && at.rows == L::width && at.cols == L::width))
    fill<true>(raw);
  else
    fill<false>(raw);
  const auto most = L::tile_largest(raw.top);
  value largest;
  std::memcpy(&largest, &most, sizeof largest);
  const bool dirty = l.any_tile(!is_clean(largest));
  const auto ask = [&](int i, int j) { return raw.ask(i, j); };
  const int replaced = dirty ? count_unclean(l, ask, largest) : 0;
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
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put(i, square(scaled_lanes<L>(raw.kept[i], exponent)));
  } else {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put_scaled(i, raw.kept[i]);
  }
  return {raw.exponent + exponent, square(detail::scaled_down(largest, exponent)), raw.replaced + replaced};
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
