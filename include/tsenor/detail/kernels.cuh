// The GPU's machine, and its kernel.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

#include "tsenor/detail/lanes/end_machine.hpp"
#define TSENOR_MACHINE cuda
#define TSENOR_FN __device__ __forceinline__
#define TSENOR_UNROLL _Pragma("unroll")
#define TSENOR_UNROLL_PARTS _Pragma("unroll")
#include "tsenor/detail/lanes/cuda.cuh"
#include "tsenor/detail/solve_tile.hpp"
#include "tsenor/detail/lanes/end_machine.hpp"

namespace tsenor::detail {
inline namespace TSENOR_ABI {

// Warps of a block, so that its tiles fit into 48 KB of shared memory.
template <int Width>
inline constexpr int block_warps = Width == 64 ? 1 : 4;

// Each group of lanes solves tiles, a grid's stride apart.
template <method How, int Width, class Weight, class Importance>
__global__ void __launch_bounds__(32 * block_warps<Width>) find_mask_kernel(const problem<Weight, Importance> p) {
  using machine = cuda::lanes<Width>;
  __shared__ typename machine::memory memory[block_warps<Width>];
  const int warp = int(threadIdx.x) / 32;
  const std::int64_t stride = std::int64_t(gridDim.x) * block_warps<Width> * machine::tiles_per_warp;
  std::int64_t first = (std::int64_t(blockIdx.x) * block_warps<Width> + warp) * machine::tiles_per_warp;
  machine l(memory[warp]);
  for (; first < p.tiles(); first += stride) {
    const std::int64_t tile = first + machine::first_lane() / machine::group;
    if constexpr (How == method::optimal)
      cuda::solve_optimal(l, p, tile);
    else
      cuda::solve_published(l, p, tile);
  }
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
