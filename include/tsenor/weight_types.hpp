/// \file
/// 16- and 8-bit floating-point weights as plain bit layouts, for programs without the CUDA toolkit. Each has the size,
/// alignment and bits of CUDA's type of the same format and is interchangeable with it (reinterpret_cast the pointer).
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
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

// The value of a binary16 as a float, exactly, without a branch, so that compilers make vector code of it.
TSENOR_HOST_DEVICE inline float decode16(std::uint32_t x) {
  const std::uint32_t magnitude = x & 0x7fffu, sign = (x & 0x8000u) << 16, bits = magnitude << 13;
  constexpr std::uint32_t least_normal = 113u << 23;
  // A subnormal number is what it adds to the least normal one.
  const std::uint32_t subnormal = bits_of(float_of_bits(bits + least_normal) - float_of_bits(least_normal));
  const std::uint32_t finite = magnitude < 0x400u ? subnormal : bits + (112u << 23);
  return float_of_bits(sign | (magnitude < 0x7c00u ? finite : bits | 0x7f800000u));
}

// The values of an eight-bit format (1 sign, E exponent, 7 - E fraction bits) as floats. An all-ones exponent is NaN or
// infinity, except in E4M3, where only all-ones exponent and fraction is NaN.
template <int E>
struct values8 {
  float of[256] = {};
  constexpr values8() {
    constexpr int fractions = 1 << (7 - E), bias = (1 << (E - 1)) - 1, first_special = E == 4 ? 127 : 124;
    for (int x = 0; x < 256; x++) {
      const int magnitude = x & 127, fraction = magnitude % fractions, exponent = magnitude / fractions;
      float value = float(exponent == 0 ? fraction : fractions + fraction) / float(fractions << (bias - 1));
      for (int e = 1; e < exponent; e++) value *= 2;
      if (magnitude >= first_special)
        value =
            E == 4 || fraction != 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
      of[x] = x < 128 ? value : -value;
    }
  }
};
template <int E>
inline constexpr values8<E> all_values8{};

TSENOR_HOST_DEVICE inline float to_arithmetic(float x) { return x; }
TSENOR_HOST_DEVICE inline double to_arithmetic(double x) { return x; }
TSENOR_HOST_DEVICE inline float to_arithmetic(float16 x) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
  return r;
#else
  return decode16(x.bits);
#endif
}
TSENOR_HOST_DEVICE inline float to_arithmetic(bfloat16 x) { return float_of_bits(std::uint32_t(x.bits) << 16); }
TSENOR_HOST_DEVICE inline float to_arithmetic(float8_e4m3 x) {
#if defined(__CUDA_ARCH__)  // its exponent and fraction are those of a binary16 that is 2^8 times smaller
  const std::uint32_t magnitude = x.bits & 0x7fu;
  const float smaller = to_arithmetic(float16{std::uint16_t((x.bits & 0x80u) << 8 | magnitude << 7)});
  return magnitude == 0x7fu ? float_of_bits(0x7fffffffu) : 256.f * smaller;
#else
  return all_values8<4>.of[x.bits];
#endif
}
TSENOR_HOST_DEVICE inline float to_arithmetic(float8_e5m2 x) {  // the upper half of a binary16
#if defined(__CUDA_ARCH__)
  return to_arithmetic(float16{std::uint16_t(x.bits << 8)});
#else
  return all_values8<5>.of[x.bits];
#endif
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
