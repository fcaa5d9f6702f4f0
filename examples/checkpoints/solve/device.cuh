/// \file
/// Device memory and time, with errors as the tool's failures.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "failure.hpp"

namespace tool {

inline void require_cuda(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw failure(exit_code::device, std::string(what) + ": " + cudaGetErrorString(error) +
                                         "; check the device with nvidia-smi, or use --device cpu");
}

/// An array in device memory.
template <class T>
class device_array {
 public:
  explicit device_array(std::int64_t count) : bytes_(static_cast<std::size_t>(count) * sizeof(T)) {
    require_cuda(cudaMalloc(&data_, bytes_), "cannot allocate device memory");
  }
  ~device_array() { cudaFree(data_); }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;

  T* get() const { return data_; }
  void copy_from(const void* host) {
    require_cuda(cudaMemcpy(data_, host, bytes_, cudaMemcpyHostToDevice), "cannot copy to the device");
  }
  void copy_to(void* host) const {
    require_cuda(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost), "the device failed");
  }

 private:
  T* data_ = nullptr;
  std::size_t bytes_;
};

/// Seconds between two points of the default stream.
class device_timer {
 public:
  device_timer() {
    require_cuda(cudaEventCreate(&start_), "cannot create an event");
    require_cuda(cudaEventCreate(&stop_), "cannot create an event");
  }
  ~device_timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }
  device_timer(const device_timer&) = delete;
  device_timer& operator=(const device_timer&) = delete;

  void start() { require_cuda(cudaEventRecord(start_), "cannot record an event"); }
  double stop() {
    float milliseconds = 0;
    require_cuda(cudaEventRecord(stop_), "cannot record an event");
    require_cuda(cudaEventSynchronize(stop_), "the device failed");
    require_cuda(cudaEventElapsedTime(&milliseconds, start_, stop_), "the device failed");
    return milliseconds * 1e-3;
  }

 private:
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

}  // namespace tool
