// load: the tile's importances, scaled by a power of two, into l.importance.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// An entry outside the M x M tile, in the lanes and columns that a smaller M leaves over: its plan is 0.
constexpr float absent = -1e30f;

// The first `count` columns.
template <class L>
TSENOR_FN typename L::tile_set first_members(int count) {
  using set = typename L::tile_set;
  return set(~set(0)) >> (sizeof(set) * 8 - count);
}

struct tile_scale {
  int exponent;   // what the functor returns is divided by 2^exponent, then squared if it is to be
  int unit;       // importances are 2^unit times the scaled ones, the largest of which is in [1, 2)
  float largest;  // scaled importance
  int replaced;   // NaN, negative or infinite importances
};

// The scale of a tile by the largest that the functor returns. A square of 2 or more is halved.
template <class Importance, class Value>
TSENOR_FN tile_scale scale_of(const Value& largest, int replaced) {
  const int exponent = scale_exponent<Importance>(largest);
  const Value x = detail::scaled_down(largest, exponent);
  if constexpr (squares_after_scaling<Importance>) {
    const bool halved = x * x >= 2;
    return {exponent, 2 * exponent + halved, float(halved ? x * x / 2 : x * x), replaced};
  } else {
    return {exponent, exponent, float(x), replaced};
  }
}

// Lanes of whole tiles that leave some over read the last row and column again in place of what is outside, so that
// there is no branch at a read.
template <class L>
constexpr bool reads_again = L::whole && !L::plain;
// Whether row i lies in a tile of `rows`: no question up to the middle, but of the narrowest lanes.
template <class L>
TSENOR_FN bool is_row(int i, int rows) {
  return (L::width > 8 && i <= L::width / 2) || i < rows;
}

// x * 2^-exponent in each lane, as scaled_down() of one number.
template <class L>
TSENOR_FN typename L::real scaled_lanes(const typename L::real& x, int exponent) {
  const int half = exponent / 2;
  return x * typename L::real(float_of_bits(std::uint32_t(127 - half) << 23)) *
         typename L::real(float_of_bits(std::uint32_t(127 - exponent + half) << 23));
}
template <class L>
TSENOR_FN auto scaled_lanes(const typename L::template lane_value<double>& x, int exponent) {
  return L::template lane_by_lane<double>([&](int j) { return detail::scaled_down(L::own(x, j), exponent); });
}

// x in the first `cols` lanes, if there are any, absent in the others.
template <class L>
TSENOR_FN typename L::real present(const typename L::real& x, int cols) {
  return pick(L::lane() < typename L::index(cols), x, typename L::real(absent));
}
template <class L>
TSENOR_FN auto present(const typename L::template lane_value<double>& x, int cols) {
  return L::template lane_by_lane<double>([&](int j) { return j < cols ? L::own(x, j) : double(absent); });
}

// Scaled importances as l.importance holds them.
template <class L>
TSENOR_FN typename L::real as_reals(const typename L::real& x) {
  return x;
}
template <class L>
TSENOR_FN typename L::real as_reals(const typename L::template lane_value<double>& x) {
  return L::template lane_by_lane<float>([&](int j) { return float(L::own(x, j)); });
}

// What a pipeline did, for the report.
struct effort {
  int iterations, moves;
};

// f of a value of the type that the weights have in memory: T or, where that is any_weight, what p.format says, but
// double.
template <class T, class Weight, class Importance, class F>
TSENOR_FN auto with_weight_type(const problem<Weight, Importance>& problem, const F& f) {
  if constexpr (std::is_same_v<T, any_weight>) {
    if (problem.format == weight_format::binary32) return f(float{});
    switch (problem.format) {
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
    return f(T{});
  }
}

// Weights of type T, which with_weight_type says.
template <class T, class Weight, class Importance>
TSENOR_FN const T& weight_at(const problem<Weight, Importance>& problem, const tile_position& at, int i, int j) {
  const auto& w = problem.weights;
  const T* const data = reinterpret_cast<const T*>(w.data);
  const T* const col = data + (at.batch * w.batch_stride + at.row * w.row_stride + at.col + j);
  return col[i * w.row_stride];  // what differs between the weights of a lane is the same for all lanes
}

// The importance of the tile's element (i, j), or what stands under the square.
template <class T, class Weight, class Importance>
TSENOR_FN importance_value<T> importance_at(const problem<Weight, Importance>& problem, const tile_position& at, int i,
                                            int j) {
  return importance_value<T>(
      problem.importance(to_arithmetic(weight_at<T>(problem, at, i, j)), at.row + i, at.col + j, at.batch));
}

// The importances of a tile of weights of type T as they are, 0 outside it, a row at a time: held where a machine has
// room for them, or in l.importance, where lanes find their own columns again; doubles have no room there and are asked
// for again.
template <class L, class T, class Weight, class Importance>
struct raw_importances {
  using value = importance_value<T>;
  using row = typename L::template lane_value<value>;
  using bits = typename L::template lane_value<decltype(bits_of(value()))>;
  static constexpr bool in_tile = !L::holds_tile && std::is_same_v<value, float>;
  L& l;
  const detail::problem<Weight, Importance>& problem;
  const tile_position& at;
  // Rows that are read before the first of them is written: a branch is made of each read if writes are between them.
  static constexpr int rows_at_once = L::one_at_a_time ? 1 : L::holds_tile ? L::width : 16;
  row held[L::holds_tile ? L::width : rows_at_once];
  // The largest of a lane; of numbers that are not negative ordered as the numbers, NaN and negative ones above.
  bits top = 0;

  TSENOR_FN raw_importances(L& l_, const detail::problem<Weight, Importance>& problem_, const tile_position& at_)
      : l(l_), problem(problem_), at(at_) {}
  TSENOR_FN bool inside(int i, int j) const { return L::plain || (i < at.rows && j < at.cols); }
  TSENOR_FN bool reads(int i, int j) const { return reads_again<L> || inside(i, j); }
  TSENOR_FN int row_of(int i) const { return reads_again<L> && !is_row<L>(i, at.rows) ? at.rows - 1 : i; }
  TSENOR_FN int col_of(int j) const { return reads_again<L> && j >= at.cols ? at.cols - 1 : j; }
  TSENOR_FN value ask(int i, int j) const {
    if constexpr (in_tile)
      return l.importance.element(i, j);
    else
      return with_weight_type<T>(problem, [&](auto weight) {
        return inside(i, j) ? importance_at<decltype(weight)>(problem, at, i, j) : value(0);
      });
  }
  // Of row first + i, one of those that are read at once.
  TSENOR_FN row& place(int first, int i) { return held[L::holds_tile ? first + i : i]; }
  // Cleans what is held. Floats are asked for again, in a short loop, and come back through the lanes' own columns.
  TSENOR_FN void clean_held() {
    if constexpr (std::is_same_v<value, float>) {
      TSENOR_ROLLED for (int i = 0; i < L::width; i++)
          l.importance.set_col_entry(i, L::template lane_by_lane<float>([&](int j) { return clean(ask(i, j)); }));
      TSENOR_UNROLL for (int i = 0; i < L::width; i++) held[i] = l.importance.col_entry(i);
    } else {
      TSENOR_UNROLL for (int i = 0; i < L::width; i++) held[i] =
          L::template lane_by_lane<value>([&](int j) { return clean(L::own(held[i], j)); });
    }
  }
  TSENOR_FN void take_in(int i, const row& x) {
    if constexpr (in_tile) l.importance.set_col_entry(i, x);
    top = largest(top, same_bits<bits>(x));
  }
};

// Fills `raw`; `Whole`: no entry is outside.
template <bool Whole, class L, class T, class Weight, class Importance>
TSENOR_FN void fill(raw_importances<L, T, Weight, Importance>& raw) {
  using value = importance_value<T>;
  constexpr int rows = raw_importances<L, T, Weight, Importance>::rows_at_once;
  for (int first = 0; first < L::width; first += rows) {
    TSENOR_UNROLL for (int i = 0; i < rows; i++) raw.place(first, i) = L::template lane_by_lane<value>([&](int j) {
      return Whole || raw.reads(first + i, j)
                 ? importance_at<T>(raw.problem, raw.at, raw.row_of(first + i), raw.col_of(j))
                 : value(0);
    });
    TSENOR_UNROLL for (int i = 0; i < rows; i++) raw.take_in(first + i, raw.place(first, i));
  }
}
// The same of weights whose type is a value: the rows that a machine holds at once are read as their type says, and
// then treated as floats.
template <bool Whole, class L, class Importance>
TSENOR_STAGE void fill(raw_importances<L, any_weight, any_weight, Importance>& raw) {
  const auto& problem = raw.problem;
  const tile_position& at = raw.at;
  constexpr int rows = raw_importances<L, any_weight, any_weight, Importance>::rows_at_once;
  for (int first = 0; first < L::width; first += rows) {
    typename L::template lane_value<float> w[rows];
    with_weight_type<any_weight>(problem, [&](auto weight) {
      using T = decltype(weight);
      TSENOR_UNROLL for (int i = 0; i < rows; i++) w[i] = L::template lane_by_lane<float>([&](int j) {
        return Whole || raw.reads(first + i, j)
                   ? to_arithmetic(weight_at<T>(problem, at, raw.row_of(first + i), raw.col_of(j)))
                   : 0.f;
      });
    });
    TSENOR_UNROLL for (int i = 0; i < rows; i++) {
      auto& x = raw.place(first, i);
      x = L::template lane_by_lane<float>([&](int j) {
        const bool reads = Whole || raw.reads(first + i, j);
        const int row = raw.row_of(first + i), col = raw.col_of(j);
        return reads ? float(problem.importance(L::own(w[i], j), at.row + row, at.col + col, at.batch)) : 0.f;
      });
      raw.take_in(first + i, x);
    }
  }
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

// load() of weights of type T.
template <class T, class L, class Weight, class Importance, class Put>
TSENOR_FN tile_scale load_as(L& l, const problem<Weight, Importance>& problem, const tile_position& at, int rows,
                             int cols, const Put& put) {
  using value = importance_value<T>;
  raw_importances<L, T, Weight, Importance> raw(l, problem, at);
  if (L::plain || (L::holds_tile && !reads_again<L> && at.rows == L::width && at.cols == L::width))
    fill<true>(raw);
  else
    fill<false>(raw);
  const auto most = L::tile_largest(raw.top);
  value largest;
  std::memcpy(&largest, &most, sizeof largest);
  const bool dirty = l.any_tile(!is_clean(largest));
  const int replaced = dirty ? count_unclean(l, raw, largest) : 0;
  const tile_scale scale = scale_of<Importance>(largest, replaced);
  const int exponent = scale.exponent;
  const auto square = [&](const auto& x) {
    using lanes = std::decay_t<decltype(x)>;
    if constexpr (squares_after_scaling<Importance>)
      return x * x * lanes(scale.unit & 1 ? value(0.5) : value(1));
    else
      return x;
  };
  const bool whole = L::plain || (L::one_at_a_time && rows == L::width && cols == L::width);
  const auto put_scaled = [&](int i, const auto& importances) {
    const auto x = square(scaled_lanes<L>(importances, exponent));
    if constexpr (L::plain || (reads_again<L> && std::is_same_v<value, float>))
      put(i, x);
    else
      put(i, present<L>(x, i < rows ? cols : 0));
  };
  if (L::holds_tile && dirty) raw.clean_held();
  if (!L::holds_tile) {
    for (int i = 0; i < L::width; i++)
      put_scaled(i, L::template lane_by_lane<value>([&](int j) { return clean(raw.ask(i, j)); }));
  } else if (whole) {  // no test in the loop
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put(i, square(scaled_lanes<L>(raw.held[i], exponent)));
  } else {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) put_scaled(i, raw.held[i]);
  }
  return scale;
}

// Calls put(i, importances), scaled, for all rows; entries outside the first `rows` and `cols` of the lanes are absent,
// those outside the tile have no importance. Where lanes read again, floats outside are any of the tile's.
template <class L, class Weight, class Importance, class Put>
TSENOR_FN tile_scale load(L& l, const problem<Weight, Importance>& problem, const tile_position& at, int rows, int cols,
                          const Put& put) {
  if constexpr (may_be_double<L, Weight>)
    if (problem.format == weight_format::binary64) return load_as<double>(l, problem, at, rows, cols, put);
  if constexpr (std::is_same_v<Weight, any_weight> && L::plain)  // most weights are floats: straight into their lanes
    if (problem.format == weight_format::binary32) return load_as<float>(l, problem, at, rows, cols, put);
  return load_as<Weight>(l, problem, at, rows, cols, put);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
