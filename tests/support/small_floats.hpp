/// \file
/// 16- and 8-bit weights for tests: an independent decoder (ldexp on the fields) and rounding to nearest by table
/// look-up.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "tsenor/weight_types.hpp"

namespace tsenor_test {

/// The fields of a small floating-point format.
struct float_format {
  int exponent_bits;
  int fraction_bits;
  bool has_infinity;  ///< without: an all-ones exponent is an ordinary one, except with an all-ones fraction, which is
                      ///< NaN
};

template <class T>
struct format_of;
template <>
struct format_of<tsenor::float16> {
  static constexpr float_format value{5, 10, true};
};
template <>
struct format_of<tsenor::bfloat16> {
  static constexpr float_format value{8, 7, true};
};
template <>
struct format_of<tsenor::float8_e4m3> {
  static constexpr float_format value{4, 3, false};
};
template <>
struct format_of<tsenor::float8_e5m2> {
  static constexpr float_format value{5, 2, true};
};

/// What the bit pattern stands for.
inline double decode_by_formula(std::uint32_t bits, float_format f) {
  const int fraction_top = 1 << f.fraction_bits, exponent_top = 1 << f.exponent_bits;
  const int fraction = static_cast<int>(bits) % fraction_top;
  const int exponent = static_cast<int>(bits) / fraction_top % exponent_top;
  const double sign = bits / (fraction_top * exponent_top) % 2 == 0 ? 1 : -1;
  const int bias = exponent_top / 2 - 1;
  if (exponent == exponent_top - 1) {
    if (f.has_infinity && fraction == 0) return sign * std::numeric_limits<double>::infinity();
    if (f.has_infinity || fraction == fraction_top - 1) return std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(double(fraction), 1 - bias - f.fraction_bits);
  return sign * std::ldexp(double(fraction_top + fraction), exponent - bias - f.fraction_bits);
}

/// The value of a weight of any type, for float and double the weight itself.
template <class T>
double decoded(T weight) {
  if constexpr (std::is_floating_point_v<T>) {
    return weight;
  } else {
    return decode_by_formula(weight.bits, format_of<T>::value);
  }
}

/// Rounds to the nearest finite value of T, of two equally near ones to that with even bits.
template <class T>
T encoded(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    using word = decltype(T::bits);
    static const std::vector<std::pair<double, word>> table = [] {
      std::vector<std::pair<double, word>> entries;
      for (std::uint32_t bits = 0; bits <= std::numeric_limits<word>::max(); ++bits) {
        const double x = decode_by_formula(bits, format_of<T>::value);
        if (std::isfinite(x)) entries.push_back({x, static_cast<word>(bits)});
      }
      std::sort(entries.begin(), entries.end());
      return entries;
    }();
    auto above = std::lower_bound(table.begin(), table.end(), std::pair<double, word>{value, 0});
    if (above == table.end()) return T{table.back().second};
    if (above == table.begin()) return T{above->second};
    const double down = value - (above - 1)->first, up = above->first - value;
    if (down < up || (down == up && (above - 1)->second % 2 == 0)) --above;
    return T{above->second};
  }
}

}  // namespace tsenor_test
