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

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"  // see cpu_machines.hpp
#pragma GCC diagnostic ignored "-Wconversion"
#define TSENOR_MACHINE cuda
#define TSENOR_FN __device__ __forceinline__
#define TSENOR_APART __device__ __noinline__
#define TSENOR_ROLLED _Pragma("unroll 1")
#define TSENOR_UNROLL _Pragma("unroll")
#define TSENOR_UNROLL_PARTS _Pragma("unroll")
#include "tsenor/detail/cuda_machine.cuh"
#pragma GCC diagnostic pop

namespace tsenor::detail {
inline namespace TSENOR_ABI {

using cuda::work;

// Warps of a block, so that its tiles fit into 48 KB of shared memory.
template <int Width, work For>
inline constexpr int block_warps = Width < 64               ? 4
                                   : For == work::published ? 1
                                                            : 2;

// Blocks that a multiprocessor should have room for, so that the compiler keeps to as many registers as that leaves
// (measured: bench/NOTES.md).
template <int Width, work For>
constexpr int wanted_blocks() {
  if (For == work::published) return Width == 64 ? 1 : Width == 32 ? 4 : Width == 16 ? 5 : 7;
  if (Width == 64) return 6;
  if (For == work::optimal) return Width == 32 ? 5 : 7;
  if (Width == 32) return For == work::optimal_plain_outputs ? 5 : 6;
  if (Width == 16) return For == work::optimal_plain ? 9 : 8;
  return For == work::optimal_plain || For == work::optimal_at_most ? 10 : 9;
}
template <int Width, work For>
constexpr int resident_blocks() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  constexpr int most = 8;  // there is room for 1024 threads
#else
  constexpr int most = 16;
#endif
  return wanted_blocks<Width, For>() < most ? wanted_blocks<Width, For>() : most;
}

// Each group of lanes solves tiles, a grid's stride apart.
template <work For, int Width, class Weight, class Importance>
__global__ void __launch_bounds__(32 * block_warps<Width, For>, resident_blocks<Width, For>())
    find_mask_kernel(const problem<Weight, Importance> problem) {
  using machine = cuda::lanes<Width, For>;
  constexpr int warps = block_warps<Width, For>, tiles = warps * machine::tiles_per_warp;
  __shared__ typename machine::memory memory[warps];
  const int warp = machine::warp_of_block(),
            mine = warp * machine::tiles_per_warp + machine::first_lane() / machine::group;
  // The whole block goes on or ends: of a condition that might part a warp the compiler makes code for parted warps.
  for (std::int64_t first = std::int64_t(blockIdx.x) * tiles; first < problem.grid.tiles;
       first += std::int64_t(gridDim.x) * tiles) {
    machine l(memory[warp]);
    const std::int64_t tile = first + mine;
    if constexpr (For == work::published)
      cuda::solve_published(l, problem, tile);
    else
      cuda::solve_optimal(l, problem, tile);
  }
}

constexpr int block_tiles4 = 128;

// Each thread solves a 4x4 tile. Plain: what problem.is_plain4() says.
template <bool Plain, constraint Kept, class Weight, class Importance>
__global__ void __launch_bounds__(block_tiles4, Plain ? 8 : 4)
    find_mask_kernel4(const problem<Weight, Importance> problem) {
  const auto solve = [&](std::int64_t tile) {
    cuda::solve_tiles4<Plain, !Plain, cuda::tile_lanes>(problem, tile, problem.grid.tiles, Kept == constraint::at_most);
  };
  if constexpr (Plain) {  // a grid has room for all blocks: a loop would only make the compiler spill what it needs
    const std::uint32_t tile = blockIdx.x * block_tiles4 + threadIdx.x;
    if (tile < std::uint32_t(problem.grid.tiles)) solve(tile);
  } else {
    std::int64_t tile = std::int64_t(blockIdx.x) * block_tiles4 + threadIdx.x;
    for (; tile < problem.grid.tiles; tile += std::int64_t(gridDim.x) * block_tiles4) solve(tile);
  }
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
