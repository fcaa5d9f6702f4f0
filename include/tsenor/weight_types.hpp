/// \file
/// 16- and 8-bit floating-point weights as plain bit layouts, for programs without the CUDA toolkit. Each has the size,
/// alignment and bits of CUDA's type of the same format and is interchangeable with it (reinterpret_cast the pointer).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/config.hpp"

namespace tsenor {

/// IEEE binary16; CUDA's __half.
struct float16 {
  std::uint16_t bits;  ///< sign, exponent and fraction, from the highest bit down
};
/// The upper half of a float; CUDA's __nv_bfloat16.
struct bfloat16 {
  std::uint16_t bits;  ///< sign, exponent and fraction, from the highest bit down
};
/// OCP E4M3, no infinity, largest 448; CUDA's __nv_fp8_e4m3.
struct float8_e4m3 {
  std::uint8_t bits;  ///< sign, exponent and fraction, from the highest bit down
};
/// OCP E5M2, largest 57344; CUDA's __nv_fp8_e5m2.
struct float8_e5m2 {
  std::uint8_t bits;  ///< sign, exponent and fraction, from the highest bit down
};

namespace detail {

// The library's own type for a weight type; find_mask.cuh adds CUDA's types. `void` if it is not a weight type.
template <class T>
struct storage {
  using type = void;
};
template <>
struct storage<float> {
  using type = float;
};
template <>
struct storage<double> {
  using type = double;
};
template <>
struct storage<float16> {
  using type = float16;
};
template <>
struct storage<bfloat16> {
  using type = bfloat16;
};
template <>
struct storage<float8_e4m3> {
  using type = float8_e4m3;
};
template <>
struct storage<float8_e5m2> {
  using type = float8_e5m2;
};

// The compiler's own types, where it has them: _Float16 is std::float16_t too, and __bf16 std::bfloat16_t.
#if defined(__FLT16_MANT_DIG__)
template <>
struct storage<_Float16> {
  using type = float16;
};
#endif
#if defined(__BFLT16_MANT_DIG__) || (defined(__clang__) && __clang_major__ >= 15 && defined(__SSE2__))
template <>
struct storage<__bf16> {
  using type = bfloat16;
};
#endif

template <class T>
using storage_t = typename storage<std::remove_const_t<T>>::type;
template <class T>
inline constexpr bool is_weight = !std::is_void_v<storage_t<T>>;

TSENOR_HOST_DEVICE inline float float_of_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
TSENOR_HOST_DEVICE inline std::uint32_t bits_of(float x) {
  std::uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}

// The value of a small IEEE-like format (1 sign, E exponent, P fraction bits) as a float, exactly. NaN and infinity are
// the formats' own: an all-ones exponent, except in E4M3, where only all-ones exponent and fraction is NaN.
template <int E, int P, bool HasInfinity>
TSENOR_HOST_DEVICE inline float decode(std::uint32_t x) {
  constexpr std::uint32_t bias = (1u << (E - 1)) - 1u, top = (1u << E) - 1u, fraction_mask = (1u << P) - 1u;
  const std::uint32_t sign = (x >> (E + P) & 1u) << 31, exponent = x >> P & top, fraction = x & fraction_mask;
  const bool special = exponent == top && (HasInfinity || fraction == fraction_mask);
  if (special) return float_of_bits(sign | 0x7f800000u | (HasInfinity ? fraction : 1u) << (23 - P));
  if (exponent == 0) {  // subnormal: fraction * 2^(1 - bias - P), a product of exact factors
    const float magnitude = float(fraction) * float_of_bits((127u + 1u - bias - P) << 23);
    return sign ? -magnitude : magnitude;
  }
  return float_of_bits(sign | (exponent + 127u - bias) << 23 | fraction << (23 - P));
}

TSENOR_HOST_DEVICE inline float to_arithmetic(float x) { return x; }
TSENOR_HOST_DEVICE inline double to_arithmetic(double x) { return x; }
TSENOR_HOST_DEVICE inline float to_arithmetic(float16 x) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
  return r;
#else
  return decode<5, 10, true>(x.bits);
#endif
}
TSENOR_HOST_DEVICE inline float to_arithmetic(bfloat16 x) { return float_of_bits(std::uint32_t(x.bits) << 16); }
TSENOR_HOST_DEVICE inline float to_arithmetic(float8_e4m3 x) {
#if defined(__CUDA_ARCH__)  // its exponent and fraction are those of a binary16 that is 2^8 times smaller
  const std::uint32_t magnitude = x.bits & 0x7fu;
  const float smaller = to_arithmetic(float16{std::uint16_t((x.bits & 0x80u) << 8 | magnitude << 7)});
  return magnitude == 0x7fu ? float_of_bits(0x7fffffffu) : 256.f * smaller;
#else
  return decode<4, 3, false>(x.bits);
#endif
}
TSENOR_HOST_DEVICE inline float to_arithmetic(float8_e5m2 x) {  // the upper half of a binary16
  return to_arithmetic(float16{std::uint16_t(x.bits << 8)});
}

}  // namespace detail

/// The nearest number of E4M3, of two equally near ones the one with an even fraction; beyond 448, also for infinity,
/// 448 with the sign of x. NaN becomes the NaN without a sign, 0x7f. As CUDA converts with __NV_SATFINITE, and PyTorch
/// after clamping to +-448.
TSENOR_HOST_DEVICE inline float8_e4m3 to_e4m3(float x) {
  constexpr std::uint32_t largest = 0x43e00000, smallest_normal = 0x3c800000, infinity = 0x7f800000;  // as floats' bits
  const std::uint32_t all = detail::bits_of(x), sign = all >> 24 & 0x80u, magnitude = all & 0x7fffffffu;
  if (magnitude > infinity) return {0x7f};
  std::uint32_t bits = 0x7e;
  if (magnitude < smallest_normal)  // a multiple of 2^-9, as floats from 2^14 on are
    bits = detail::bits_of(detail::float_of_bits(magnitude) + 16384.f) & 0xfu;
  else if (magnitude < largest)
    bits = ((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3);
  return {static_cast<std::uint8_t>(sign | bits)};
}

}  // namespace tsenor
