// Pairs of 16-bit numbers, and 4x4 tiles a thread.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>

namespace tsenor::detail::TSENOR_MACHINE {

// Two 16-bit numbers in a register. Whole registers are permuted throughout: of shifts and conversions to 16 bits the
// compiler makes moves of halves.
struct pair16 {
  std::uint32_t x;
};
TSENOR_FN pair16 pair_of(int low, int high) { return {__byte_perm(std::uint32_t(low), std::uint32_t(high), 0x5410)}; }
// What has more than 16 bits becomes the nearest that has not.
TSENOR_FN pair16 nearest_pair(int low, int high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 720
  pair16 r;
  asm("cvt.pack.sat.s16.s32 %0, %1, %2;" : "=r"(r.x) : "r"(high), "r"(low));
  return r;
#else
  const auto nearest = [](int x) { return x < -0x8000 ? -0x8000 : x > 0x7fff ? 0x7fff : x; };
  return pair_of(nearest(low), nearest(high));
#endif
}
TSENOR_FN pair16 swapped(const pair16& a) { return {__byte_perm(a.x, a.x, 0x1032)}; }
// The low half of one and the high half of another.
TSENOR_FN pair16 halves_of(const pair16& low, const pair16& high) { return {__byte_perm(low.x, high.x, 0x7610)}; }
TSENOR_FN pair16 lower(const pair16& a, const pair16& b) { return {__vmins2(a.x, b.x)}; }
TSENOR_FN pair16 upper(const pair16& a, const pair16& b) { return {__vmaxs2(a.x, b.x)}; }
TSENOR_FN pair16 operator+(const pair16& a, const pair16& b) { return {__vadd2(a.x, b.x)}; }

// A 16-bit number in the upper half of a register, whatever the lower half holds. Shifts to the left and dot products
// run on the multipliers, which are idle while prices are found; other shifts and permutations run where minima do.
struct upper_half {
  std::uint32_t x;
  upper_half() = default;
  TSENOR_FN explicit upper_half(int value) : x(std::uint32_t(value) << 16) {}
  TSENOR_FN explicit upper_half(const pair16& a) : x(a.x) {}
};
TSENOR_FN upper_half greater_half(const pair16& a) { return upper_half(upper(a, {a.x << 16})); }
TSENOR_FN int sum(const upper_half& a, const upper_half& b, int c) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 610
  return c + (int(a.x) >> 16) + (int(b.x) >> 16);
#else
  return __dp2a_lo(int(a.x), 0x0100, __dp2a_lo(int(b.x), 0x0100, c));
#endif
}

// Tiles in lanes of their own: one a thread.
struct tile_lanes : one_tile {
  using real = float;
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
