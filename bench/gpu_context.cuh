/// \file
/// What a record of the GPU benchmarks says about the machine.
#pragma once

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "gpu_data.cuh"

namespace tsenor_bench {

/// Bytes read plus bytes written a second by a device-to-device copy, the median of several.
inline double copy_bandwidth(rotating_matrices<float>& data) {
  constexpr int timed_copies = 31;
  const device_array<float> target(data.elements());
  device_timer timer;
  std::vector<double> seconds;
  for (int k = 0; k < timed_copies + warm_up_calls; ++k, data.next()) {
    timer.start();
    require(cudaMemcpyAsync(target.data(), data.weights(), target.bytes(), cudaMemcpyDeviceToDevice, timer.stream()),
            "cudaMemcpyAsync");
    const double passed = timer.stop();
    if (k >= warm_up_calls) seconds.push_back(passed);
  }
  std::nth_element(seconds.begin(), seconds.begin() + timed_copies / 2, seconds.end());
  return 2 * double(target.bytes()) / seconds[timed_copies / 2];
}

inline std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

inline void add_context(rotating_matrices<float>& large) {
  int device = 0, driver = 0, runtime = 0;
  cudaDeviceProp properties{};
  require(cudaGetDevice(&device), "cudaGetDevice");
  require(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  require(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  benchmark::AddCustomContext("device", properties.name);
  benchmark::AddCustomContext("compute_capability",
                              std::to_string(properties.major) + "." + std::to_string(properties.minor));
  benchmark::AddCustomContext("multiprocessors", std::to_string(properties.multiProcessorCount));
  benchmark::AddCustomContext("l2_cache_bytes", std::to_string(properties.l2CacheSize));
  benchmark::AddCustomContext("cuda_of_driver", version_text(driver));
  benchmark::AddCustomContext("cuda_of_program", version_text(runtime));
  std::string kernel_module;
  if (std::getline(std::ifstream("/proc/driver/nvidia/version"), kernel_module))
    benchmark::AddCustomContext("driver", kernel_module);
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(copy_bandwidth(large)));
}

}  // namespace tsenor_bench
