/// \file
/// CUDA's names for a plain C++ compiler, over the emulated warp. Include this before the CUDA code under test, in
/// place of cuda_runtime.h, and run that code with tsenor_test::run_warp().
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "support/emulated_warp.hpp"

#define __host__
#define __device__
#define __global__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct alignas(8) int2 {
  int x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

namespace tsenor_test {

/// One collective of the running lane: gives its operand, and the warp in which the others' can be read.
template <class T>
emulated_warp& exchange(const char* name, unsigned mask, const T& operand, int width, const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t), "CUDA exchanges up to 64 bits");
  collective_call call{name, file, line, width, mask, 0};
  std::memcpy(&call.operand, &operand, sizeof operand);
  emulated_warp& warp = emulated_warp::current();
  warp.meet(call);
  return warp;
}

template <class T>
T operand_of(const emulated_warp& warp, int lane) {
  const std::uint64_t bytes = warp.operand_of(lane);
  T value;
  std::memcpy(&value, &bytes, sizeof value);
  return value;
}

/// All lanes' operands of a collective, combined from lane 0 on.
template <class T, class Combine>
T reduce(const char* name, unsigned mask, T operand, const char* file, int line, const Combine& combine) {
  const emulated_warp& warp = exchange(name, mask, operand, 32, file, line);
  bool is_first = true;
  T result{};
  for (int k = 0; k < 32; ++k) {
    if ((mask >> k & 1u) == 0) continue;
    const T other = operand_of<T>(warp, k);
    result = is_first ? other : combine(result, other);
    is_first = false;
  }
  return result;
}

}  // namespace tsenor_test

// The intrinsics. The place of a call tells two collectives of a kind apart.
#define TSENOR_TEST_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncwarp(unsigned mask = 0xffffffffu, TSENOR_TEST_CALLER) {
  tsenor_test::exchange("__syncwarp", mask, 0, 32, file, line);
}
inline unsigned __ballot_sync(unsigned mask, bool flag, TSENOR_TEST_CALLER) {
  const unsigned mine = flag ? 1u << tsenor_test::emulated_warp::current().lane() : 0u;
  return tsenor_test::reduce("__ballot_sync", mask, mine, file, line, [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, bool flag, TSENOR_TEST_CALLER) {
  return tsenor_test::reduce("__any_sync", mask, int{flag}, file, line, [](int a, int b) { return a | b; });
}
inline int __all_sync(unsigned mask, bool flag, TSENOR_TEST_CALLER) {
  return tsenor_test::reduce("__all_sync", mask, int{flag}, file, line, [](int a, int b) { return a & b; });
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, TSENOR_TEST_CALLER) {
  const auto& warp = tsenor_test::exchange("__shfl_sync", mask, value, width, file, line);
  return tsenor_test::operand_of<T>(warp, (warp.lane() & ~(width - 1)) | (source & (width - 1)));
}
// A lane of a later group than the own, which a too large lane_mask names, gives the own value, as CUDA has it.
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, TSENOR_TEST_CALLER) {
  const auto& warp = tsenor_test::exchange("__shfl_xor_sync", mask, value, width, file, line);
  const int source = warp.lane() ^ lane_mask, last_of_group = warp.lane() | (width - 1);
  return source > last_of_group ? value : tsenor_test::operand_of<T>(warp, source);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value, TSENOR_TEST_CALLER) {
  return tsenor_test::reduce("__reduce_add_sync", mask, value, file, line, [](T a, T b) { return a + b; });
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, TSENOR_TEST_CALLER) {
  return tsenor_test::reduce("__reduce_min_sync", mask, value, file, line, [](T a, T b) { return std::min(a, b); });
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, TSENOR_TEST_CALLER) {
  return tsenor_test::reduce("__reduce_max_sync", mask, value, file, line, [](T a, T b) { return std::max(a, b); });
}
#undef TSENOR_TEST_CALLER

namespace tsenor_test {
/// Both 16-bit halves of a and of b as numbers with a sign, combined; a result that needs more bits ends the program. A
/// GPU would wrap it around, but the code under test promises that there is none.
template <class Combine>
unsigned by_halves(const char* name, unsigned a, unsigned b, const Combine& combine) {
  const auto half = [&](int shift) {
    const int x = static_cast<std::int16_t>(a >> shift), y = static_cast<std::int16_t>(b >> shift);
    const int result = combine(x, y);
    if (result != static_cast<std::int16_t>(result)) {
      std::fprintf(stderr, "%s: %d of %d and %d is beyond 16 bits\n", name, result, x, y);
      std::abort();
    }
    return static_cast<unsigned>(result) & 0xffffu;
  };
  return half(0) | half(16) << 16;
}
}  // namespace tsenor_test

inline unsigned __vmins2(unsigned a, unsigned b) {
  return tsenor_test::by_halves("__vmins2", a, b, [](int x, int y) { return std::min(x, y); });
}
inline unsigned __vmaxs2(unsigned a, unsigned b) {
  return tsenor_test::by_halves("__vmaxs2", a, b, [](int x, int y) { return std::max(x, y); });
}
inline unsigned __vadd2(unsigned a, unsigned b) {
  return tsenor_test::by_halves("__vadd2", a, b, [](int x, int y) { return x + y; });
}

/// c and the sum of a's halves, each times one of b's two lowest bytes, all with a sign.
inline int __dp2a_lo(int a, int b, int c) {
  const auto half = [&](int shift) { return int{static_cast<std::int16_t>(a >> shift)}; };
  const auto byte = [&](int shift) { return int{static_cast<std::int8_t>(b >> shift)}; };
  return c + half(0) * byte(0) + half(16) * byte(8);
}

/// Four of the eight bytes of a and b, as the selector's four lowest digits say. Copies of a sign are not supported.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const std::uint64_t bytes = a | std::uint64_t{b} << 32;
  unsigned result = 0;
  for (int k = 0; k < 4; ++k) {
    const unsigned digit = selector >> 4 * k & 15u;
    if (digit > 7) std::abort();
    result |= static_cast<unsigned>(bytes >> 8 * digit & 0xffu) << 8 * k;
  }
  return result;
}
inline int __viaddmin_s32(int a, int b, int c) { return std::min(a + b, c); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int k = 0; k < 32; ++k) reversed |= (x >> k & 1u) << (31 - k);
  return reversed;
}

namespace tsenor_test {
template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace tsenor_test

inline int __float_as_int(float x) { return tsenor_test::same_bits<int>(x); }
inline float __int_as_float(int x) { return tsenor_test::same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return tsenor_test::same_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return tsenor_test::same_bits<float>(x); }
inline float __saturatef(float x) { return std::min(std::max(x, 0.f), 1.f); }
inline float __fdividef(float a, float b) { return a / b; }
/// a + b rounded towards 0, of numbers whose sum a double holds.
inline float __fadd_rz(float a, float b) {
  const double sum = double{a} + double{b};
  const auto nearest = static_cast<float>(sum);
  return std::abs(double{nearest}) > std::abs(sum) ? std::nextafter(nearest, 0.f) : nearest;
}
template <class T>
T __ldg(const T* p) {
  return *p;
}
// The C library declares functions of these names, so they cannot be functions here.
#define __exp2f(x) std::exp2(static_cast<float>(x))
#define __log2f(x) std::log2(static_cast<float>(x))
