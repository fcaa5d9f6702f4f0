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

template <int Width, class Weight, class Importance>
status launch(const problem<Weight, Importance>& p, cudaStream_t stream) {
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  constexpr std::int64_t tiles_per_block = block_warps<Width> * cuda::lanes<Width>::tiles_per_warp;
  const std::int64_t blocks = (p.tiles() - 1) / tiles_per_block + 1;
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  const unsigned grid = unsigned(blocks < most ? blocks : most), block = 32 * block_warps<Width>;
  if (p.how == method::optimal)
    find_mask_kernel<method::optimal, Width><<<grid, block, 0, stream>>>(p);
  else
    find_mask_kernel<method::published, Width><<<grid, block, 0, stream>>>(p);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
