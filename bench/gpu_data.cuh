/// \file
/// What the GPU benchmarks stand on: random weights in device memory, more of them than the L2 cache holds, and a
/// timer.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace tsenor_bench {

/// Ends a benchmark program that cannot go on.
inline void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

/// `[size]` elements on the current device.
template <class T>
class device_array {
 public:
  explicit device_array(std::int64_t size) : size_(size) {
    require(cudaMalloc(&data_, std::size_t(size) * sizeof(T)), "cudaMalloc");
  }
  ~device_array() { static_cast<void>(cudaFree(data_)); }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;

  T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return std::size_t(size_) * sizeof(T); }

 private:
  std::int64_t size_;
  T* data_ = nullptr;
};

/// A stream with two events: seconds of device time between start() and stop().
class device_timer {
 public:
  device_timer() {
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    require(cudaEventCreate(&start_), "cudaEventCreate");
    require(cudaEventCreate(&stop_), "cudaEventCreate");
  }
  ~device_timer() {
    static_cast<void>(cudaEventDestroy(start_));
    static_cast<void>(cudaEventDestroy(stop_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }
  device_timer(const device_timer&) = delete;
  device_timer& operator=(const device_timer&) = delete;

  cudaStream_t stream() const { return stream_; }
  void start() { require(cudaEventRecord(start_, stream_), "cudaEventRecord"); }
  /// Waits for the work since start() and returns how long it took.
  double stop() {
    float milliseconds = 0;
    require(cudaEventRecord(stop_, stream_), "cudaEventRecord");
    require(cudaEventSynchronize(stop_), "cudaEventSynchronize");
    require(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
    return milliseconds / 1e3;
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

// The finaliser of splitmix64: every bit of the result depends on every bit of `x`.
__device__ inline std::uint64_t hashed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// Independent N(0, 1) weights, by Box and Muller; the same seed gives the same weights.
template <class Weight>
__global__ void fill_gaussian(Weight* weights, std::int64_t count, std::uint64_t seed) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    const std::uint64_t bits = hashed(seed + std::uint64_t(k));
    const float radius_bits = float(std::uint32_t(bits) >> 8) + 0.5f, angle_bits = float(std::uint32_t(bits >> 40));
    const float scale = 1.0f / (1 << 24);
    weights[k] = Weight(sqrtf(-2 * logf(radius_bits * scale)) * cospif(2 * angle_bits * scale));
  }
}

/// Square matrices of Gaussian weights, each with room for its mask; next() goes round so many of them that a matrix
/// has left the L2 cache, whose size is asked for, when its turn comes again.
template <class Weight>
class rotating_matrices {
 public:
  explicit rotating_matrices(std::int64_t side)
      : side_(side), sets_(sets_for(side * side)), weights_(sets_ * side * side), masks_(sets_ * side * side) {
    fill_gaussian<<<1024, 256>>>(weights_.data(), weights_.size(), 2505);
    require(cudaGetLastError(), "fill_gaussian");
    require(cudaDeviceSynchronize(), "fill_gaussian");
  }

  std::int64_t side() const { return side_; }
  std::int64_t elements() const { return side_ * side_; }
  const Weight* weights() const { return weights_.data() + current_ * elements(); }
  std::uint8_t* mask() const { return masks_.data() + current_ * elements(); }
  void next() { current_ = (current_ + 1) % sets_; }

  /// Overwrites all masks with a value that no mask may have throughout.
  void poison_masks(cudaStream_t stream) {
    require(cudaMemsetAsync(masks_.data(), 0xFF, masks_.bytes(), stream), "cudaMemsetAsync");
  }

 private:
  static std::int64_t sets_for(std::int64_t elements) {
    int device = 0, cache_bytes = 0;
    require(cudaGetDevice(&device), "cudaGetDevice");
    require(cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
    const std::int64_t set_bytes = elements * std::int64_t(sizeof(Weight) + 1);
    return std::max<std::int64_t>(3, 3 * cache_bytes / set_bytes + 1);
  }

  std::int64_t side_, sets_;
  device_array<Weight> weights_;
  device_array<std::uint8_t> masks_;
  std::int64_t current_ = 0;
};

}  // namespace tsenor_bench
