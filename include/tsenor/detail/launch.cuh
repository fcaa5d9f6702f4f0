// From a validated call to a kernel on the caller's stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/detail/kernels.cuh"
#include "tsenor/detail/problem.hpp"
#include "tsenor/status.hpp"

namespace tsenor::detail {
inline namespace TSENOR_ABI {

template <work For, int Width, class Weight, class Importance>
void enqueue(const problem<Weight, Importance>& p, cudaStream_t stream) {
  constexpr int warps = block_warps<Width, For>;
  constexpr std::int64_t tiles_per_block = warps * cuda::lanes<Width, For>::tiles_per_warp;
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  const std::int64_t blocks = (p.grid.tiles - 1) / tiles_per_block + 1;
  find_mask_kernel<For, Width><<<unsigned(blocks < most ? blocks : most), 32 * warps, 0, stream>>>(p);
}

template <int Width, class Weight, class Importance>
status launch(const problem<Weight, Importance>& p, cudaStream_t stream) {
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  const bool whole = p.nm.m == Width && p.weights.rows % Width == 0 && p.weights.cols % Width == 0;
  if (p.how == method::published)
    enqueue<work::published, Width>(p, stream);
  else if (whole && p.kept == constraint::exactly)
    enqueue<work::optimal_plain, Width>(p, stream);
  else
    enqueue<work::optimal, Width>(p, stream);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
