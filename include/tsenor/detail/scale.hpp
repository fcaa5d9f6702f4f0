// Importances as the solver sees them: cleaned of what is no number, and scaled by a power of two.
#pragma once

#include <cfloat>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/config.hpp"
#include "tsenor/importance.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor::detail {

TSENOR_HOST_DEVICE inline std::uint64_t bits_of(double x) {
  std::uint64_t b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}
TSENOR_HOST_DEVICE inline double double_of_bits(std::uint64_t b) {
  double x;
  std::memcpy(&x, &b, sizeof x);
  return x;
}

// 0 for NaN and negative numbers, the largest finite value for infinity. Told by the bits, so that a compiler that
// assumes there are no NaNs agrees.
TSENOR_HOST_DEVICE inline float clean(float x) {
  const std::uint32_t b = bits_of(x);
  return b == 0x7f800000u ? float_of_bits(0x7f7fffffu) : b > 0x7f800000u ? 0.f : x;
}
TSENOR_HOST_DEVICE inline double clean(double x) {
  const std::uint64_t b = bits_of(x), infinity = 0x7ff0000000000000u;
  return b == infinity ? double_of_bits(infinity - 1u) : b > infinity ? 0. : x;
}
// Whether clean() changes x (-0 is 0).
TSENOR_HOST_DEVICE inline bool unclean(float x) { return bits_of(x) >= 0x7f800000u && bits_of(x) != 0x80000000u; }
TSENOR_HOST_DEVICE inline bool unclean(double x) {
  return bits_of(x) >= 0x7ff0000000000000u && bits_of(x) != 0x8000000000000000u;
}

// Of a number: not NaN, not negative, not -0, not infinite. NaN is told by its bits.
TSENOR_HOST_DEVICE inline bool is_clean(float x) { return bits_of(x) < 0x7f800000u; }
TSENOR_HOST_DEVICE inline bool is_clean(double x) { return bits_of(x) < 0x7ff0000000000000u; }
TSENOR_HOST_DEVICE inline bool is_finite(double x) { return (bits_of(x) >> 52 & 2047u) != 2047u; }

// Of a number that is not negative and not the largest.
TSENOR_HOST_DEVICE inline double next_above(double x) { return double_of_bits(bits_of(x) + 1); }

// floor(log2 x) of a positive number; of a subnormal float, and of 0, that of the smallest normal number.
TSENOR_HOST_DEVICE inline int exponent_of(float x) {
  const int e = int(bits_of(x) >> 23);
  return (e > 1 ? e : 1) - 127;
}
TSENOR_HOST_DEVICE inline int exponent_of(double x) {
  const int e = int(bits_of(x) >> 52);
  if (e == 0 && bits_of(x) != 0) return int(bits_of(x * 0x1p54) >> 52) - 1023 - 54;
  return (e > 1 ? e : 1) - 1023;
}

// The exponent to scale a tile by, from its largest importance. Subnormal floats that are to be squared are scaled up:
// their squares would be too small for a float.
template <class Importance, class Value>
TSENOR_HOST_DEVICE int scale_exponent(Value largest) {
  if constexpr (squares_after_scaling<Importance> && std::is_same_v<Value, float>)
    if (largest < FLT_MIN && largest != 0) return exponent_of(largest * 0x1p24f) - 24;
  return exponent_of(largest);
}

// x * 2^-exponent, exactly where the result is normal: in two factors, since one of them may be no number.
TSENOR_HOST_DEVICE inline float scaled_down(float x, int exponent) {
  const int half = exponent / 2;
  return x * float_of_bits(std::uint32_t(127 - half) << 23) * float_of_bits(std::uint32_t(127 - exponent + half) << 23);
}
TSENOR_HOST_DEVICE inline double scaled_down(double x, int exponent) {
  const int half = exponent / 2;
  return x * double_of_bits(std::uint64_t(1023 - half) << 52) *
         double_of_bits(std::uint64_t(1023 - exponent + half) << 52);
}
// 2^exponent as a double, 0 or infinity beyond its range.
TSENOR_HOST_DEVICE inline double power_of_two(int exponent) {
  if (exponent < -1022) return exponent < -1074 ? 0. : double_of_bits(std::uint64_t(1) << (exponent + 1074));
  return double_of_bits(std::uint64_t(exponent > 1023 ? 2047 : exponent + 1023) << 52);
}

}  // namespace tsenor::detail
