// What a report says of a tile, so that it is true in exact arithmetic. With w the importances as the functor returns
// them, cleaned, and u, v the prices, which are integers in the units that a tile is scaled to, linear duality says of
// any mask S
//   optimum - sum of what S keeps <= G = sum of max(0, -(w_ij + u_i + v_j)) over kept entries
//                                      + sum of max(0, w_ij + u_i + v_j) over the others
//                                      + (N - entries of row i) times -u_i, and the same of columns, over all lines,
// where no term is negative, the last kind because prices are not positive where a line may keep fewer than N. So G = 0
// proves S the optimum, and is computed as 0 only if each of its terms is: a sum of two numbers has the right sign,
// rounded or not. A report's value is what S keeps, rounded up if it has to be rounded, and its bound is value + G,
// rounded up.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "tsenor/detail/config.hpp"
#include "tsenor/detail/scale.hpp"
#include "tsenor/importance.hpp"

namespace tsenor::detail {

// Importances in multiples of 2^unit, from what the functor returns.
template <class Importance, class Value>
struct in_units {
  // Whether all importances have 24 bits.
  static constexpr bool exact_in_24_bits = std::is_same_v<Value, float> && !squares_after_scaling<Importance>;
  static constexpr double least = 0x1p-960;
  double first, second, of_square;

  // For tiles whose importances, before they are squared if they are to be, are about 2^exponent.
  TSENOR_HOST_DEVICE in_units(int exponent, int unit) {
    const int all = squares_after_scaling<Importance> ? exponent : unit, half = all / 2;
    first = power_of_two(-half);
    second = power_of_two(half - all);
    of_square = power_of_two(2 * exponent - unit);
  }
  // Exactly, but for squares of double, and for doubles that are too small beside the tile's largest: `least` stands
  // for these.
  TSENOR_HOST_DEVICE double operator()(Value x) const {
    const double y = double(x) * first * second, z = squares_after_scaling<Importance> ? y * y * of_square : y;
    return std::is_same_v<Value, double> && z < least && x != 0 ? least : z;
  }
  // No less than the distance of y = (*this)(x) from what it stands for. Squares of 26 bits are exact.
  TSENOR_HOST_DEVICE static double error(Value x, double y) {
    if constexpr (std::is_same_v<Value, double>) {
      if (y == least) return least;
      return squares_after_scaling<Importance> && bits_of(x) << 37 != 0 ? y * DBL_EPSILON : 0.;
    } else {
      return static_cast<void>(x), static_cast<void>(y), 0.;
    }
  }
};

// x * 2^exponent or, where that is no double, the next that is greater; at most DBL_MAX.
TSENOR_HOST_DEVICE inline double scaled_above(double x, int exponent) {
  const double y = std::ldexp(x, exponent);
  if (!is_finite(y)) return DBL_MAX;
  return std::ldexp(y, -exponent) < x ? next_above(y) : y;
}

struct certified {
  double value, bound;
};

// `kept` is at least what the mask keeps, `open` at least G, in multiples of 2^exponent. Where the sums are beyond the
// range of double, its last numbers stand for them.
TSENOR_HOST_DEVICE inline certified certified_sums(double kept, double open, int exponent) {
  const double value = scaled_above(kept, exponent);
  if (open == 0) return {value, value};
  const double bound = value + scaled_above(open, exponent);
  if (bound < DBL_MAX) return {value, next_above(bound)};
  return {value < DBL_MAX ? value : double_of_bits(bits_of(DBL_MAX) - 1), DBL_MAX};
}

}  // namespace tsenor::detail
