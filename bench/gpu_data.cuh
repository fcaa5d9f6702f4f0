/// \file
/// What the GPU benchmarks stand on: device memory, a timer, and more matrices than the L2 cache holds.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace tsenor_bench {

/// Enqueued in front of the timed call: the device is busy when that arrives, so its launch overhead stays out.
inline constexpr int warm_up_calls = 3;

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

/// Sets of a square matrix and the outputs of a call on it. next() goes round so many sets that one has left the L2
/// cache, whose size is asked for, when its turn comes again; a timed call and those in front of it have one each.
template <class Weight>
class rotating_matrices {
 public:
  explicit rotating_matrices(std::int64_t side)
      : side_(side),
        sets_(sets_for(side * side)),
        weights_(sets_ * elements()),
        masks_(sets_ * elements()),
        pruned_(sets_ * elements()),
        prices_(sets_ * price_room()) {}

  std::int64_t side() const { return side_; }
  std::int64_t elements() const { return side_ * side_; }
  std::int64_t sets() const { return sets_; }
  void next() { current_ = (current_ + 1) % sets_; }

  Weight* weights() const { return weights_.data() + current_ * elements(); }
  std::uint8_t* mask() const { return masks_.data() + current_ * elements(); }
  Weight* pruned() const { return pruned_.data() + current_ * elements(); }
  float* prices() const { return prices_.data() + current_ * price_room(); }

  const device_array<Weight>& all_weights() const { return weights_; }
  const device_array<float>& all_prices() const { return prices_; }

  /// Overwrites all masks and pruned weights with what neither may be.
  void poison_outputs(cudaStream_t stream) {
    require(cudaMemsetAsync(masks_.data(), 0xFF, masks_.bytes(), stream), "cudaMemsetAsync");
    require(cudaMemsetAsync(pruned_.data(), 0xFF, pruned_.bytes(), stream), "cudaMemsetAsync");
  }

  /// What the weights are, as their source names it; empty before the first.
  std::string holds;

 private:
  std::int64_t price_room() const { return elements() / 2; }  // two for each row of a 4 x 4 tile

  static std::int64_t sets_for(std::int64_t elements) {
    int device = 0, cache_bytes = 0;
    require(cudaGetDevice(&device), "cudaGetDevice");
    require(cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
    const std::int64_t set_bytes = elements * std::int64_t(sizeof(Weight) + 1);
    return std::max<std::int64_t>(warm_up_calls + 1, 3 * cache_bytes / set_bytes + 1);
  }

  std::int64_t side_, sets_;
  device_array<Weight> weights_;
  device_array<std::uint8_t> masks_;
  device_array<Weight> pruned_;
  device_array<float> prices_;
  std::int64_t current_ = 0;
};

}  // namespace tsenor_bench
