/// \file
/// Random weights made on the GPU: each element is a function of the seed and its index alone, so the same seed gives
/// the same weights whatever the launch.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>

namespace tsenor_test {

/// What a weight is drawn from; all but `gaussian` and `student3` draw its magnitude and toss for its sign.
enum class random_weights {
  gaussian,
  student3,    ///< Student's t with 3 degrees of freedom
  lognormal,   ///< sigma 2
  uniform,     ///< [0, 1)
  integers,    ///< 0, 1, 2 and 3
  mostly_zero  ///< 7 of 8 are zero, the others Gaussian
};

inline constexpr std::array<random_weights, 6> all_random_weights = {
    random_weights::gaussian, random_weights::student3, random_weights::lognormal,
    random_weights::uniform,  random_weights::integers, random_weights::mostly_zero};

constexpr const char* name_of(random_weights kind) {
  constexpr const char* names[] = {"gaussian", "student3", "lognormal", "uniform", "integers", "mostly_zero"};
  return names[static_cast<int>(kind)];
}

// The finaliser of splitmix64: every bit of the result depends on every bit of `x`.
__host__ __device__ inline std::uint64_t hashed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Two independent N(0, 1) values, by Box and Muller.
__device__ inline float2 gaussian_pair(std::uint64_t bits) {
  constexpr float scale = 1.0f / (1 << 24);
  const float radius = sqrtf(-2 * logf((float(std::uint32_t(bits) >> 8) + 0.5f) * scale));
  float2 pair;
  sincospif(2 * scale * float(std::uint32_t(bits >> 40)), &pair.x, &pair.y);
  return {radius * pair.x, radius * pair.y};
}

/// The weight at index `k`.
__device__ inline float random_weight(random_weights kind, std::uint64_t seed, std::uint64_t k) {
  const std::uint64_t bits = hashed(hashed(seed) + 2 * k), more = hashed(bits);
  const float2 z = gaussian_pair(bits);
  const float sign = more >> 63 ? -1.0f : 1.0f;
  switch (kind) {
    case random_weights::gaussian:
      return z.x;
    case random_weights::student3: {
      const float2 other = gaussian_pair(more);
      return z.x * rsqrtf((z.y * z.y + other.x * other.x + other.y * other.y) / 3);
    }
    case random_weights::lognormal:
      return sign * expf(2 * z.x);
    case random_weights::uniform:
      return sign * float(std::uint32_t(bits) >> 8) / (1 << 24);
    case random_weights::integers:
      return sign * float(bits % 4);
    case random_weights::mostly_zero:
      return more % 8 == 0 ? z.x : 0.0f;
  }
  return 0;
}

template <class Weight>
__global__ void fill_random_kernel(Weight* weights, std::int64_t count, random_weights kind, std::uint64_t seed) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    weights[k] = Weight(random_weight(kind, seed, std::uint64_t(k)));
}

/// Fills `[count]` weights of any type in device memory, on the default stream.
template <class Weight>
cudaError_t fill_random(Weight* weights, std::int64_t count, random_weights kind, std::uint64_t seed) {
  fill_random_kernel<<<2048, 256>>>(weights, count, kind, seed);
  return cudaGetLastError();
}

}  // namespace tsenor_test
