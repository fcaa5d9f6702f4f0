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

// Enough blocks for all tiles, or as many as a grid has: blocks go on a grid's stride apart.
inline unsigned blocks_for(std::int64_t tiles, int tiles_per_block) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  const std::int64_t blocks = (tiles - 1) / tiles_per_block + 1;
  return unsigned(blocks < most ? blocks : most);
}

template <work For, int Width, class Weight, class Importance>
void enqueue(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  constexpr int warps = block_warps<Width, For>;
  const unsigned blocks = blocks_for(problem.grid.tiles, warps * cuda::lanes<Width, For>::tiles_per_warp);
  find_mask_kernel<For, Width><<<blocks, 32 * warps, 0, stream>>>(problem);
}

template <class Weight, class Importance>
void enqueue_tiles4(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  const unsigned blocks = blocks_for(problem.grid.tiles, block_tiles4);
  const bool plain = problem.is_plain4();
  if (problem.kept == constraint::exactly) {
    if (plain)
      find_mask_kernel4<true, constraint::exactly><<<blocks, block_tiles4, 0, stream>>>(problem);
    else
      find_mask_kernel4<false, constraint::exactly><<<blocks, block_tiles4, 0, stream>>>(problem);
  } else {
    if (plain)
      find_mask_kernel4<true, constraint::at_most><<<blocks, block_tiles4, 0, stream>>>(problem);
    else
      find_mask_kernel4<false, constraint::at_most><<<blocks, block_tiles4, 0, stream>>>(problem);
  }
}

// Whether all tiles are whole, and not too many. Doubles among all types of weights are left to the general kernel.
template <class Weight, class Importance>
bool has_whole_tiles(const problem<Weight, Importance>& problem) {
  const bool double_among_others = std::is_same_v<Weight, any_weight> && problem.format == weight_format::binary64;
  const tiling& grid = problem.grid;
  return grid.rows % problem.nm.m == 0 && grid.cols % problem.nm.m == 0 && grid.is_small() && !double_among_others;
}

// Side: M, or 0 where it is a run-time value. Kernels that no call of this M takes are not compiled. Masks alone have a
// plain kernel of their own: the code for other outputs and earlier prices would cost it registers and room in the
// instruction cache, asked for or not. Kernels of 64 lanes take longest to compile, so that there, where M is a
// run-time value, one kernel has the work of two.
template <int Width, int Side, class Weight, class Importance>
void enqueue_optimal(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  constexpr bool any_side = Side == 0 && Width < 64;
  const bool whole = has_whole_tiles(problem), exactly = whole && problem.kept == constraint::exactly;
  const bool full = whole && problem.nm.m == Width, plain = full && exactly;
  if constexpr (any_side || Side == Width)
    if (plain && problem.wants_masks_only()) return enqueue<work::optimal_plain, Width>(problem, stream);
  if constexpr (Side == 0 || Side == Width)
    if (full && !exactly && problem.wants_masks_only()) return enqueue<work::optimal_at_most, Width>(problem, stream);
  if constexpr (Side == 0 || Side == Width)
    if (plain) return enqueue<work::optimal_plain_outputs, Width>(problem, stream);
  if constexpr (Side != Width && Width < 64)
    if (exactly) return enqueue<work::optimal_exactly, Width>(problem, stream);
  if constexpr (Side != Width && Width < 64)
    if (whole && problem.wants_masks_only()) return enqueue<work::optimal_at_most_between, Width>(problem, stream);
  enqueue<work::optimal, Width>(problem, stream);
}

template <int Width, int Side, class Weight, class Importance>
void enqueue_published(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  if constexpr (Width == 8 && Side <= 4)
    if (problem.nm.m <= 4) return enqueue<work::published, 4>(problem, stream);
  if constexpr (Side == 0 || Side > 4) enqueue<work::published, Width>(problem, stream);
}

// AnyWeight: by one kernel for all types of weights. 4x4 tiles have kernels of their own, for each type.
template <int Width, int Side, bool AnyWeight, class Weight, class Importance>
void enqueue_any(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  if constexpr (Width == 8 && (Side == 0 || Side == 4))
    if (problem.takes_tile4_solver()) return enqueue_tiles4(problem, stream);
  decltype(auto) solved = as_solved<AnyWeight>(problem);
  if (problem.how == method::published) return enqueue_published<Width, Side>(solved, stream);
  if constexpr (Side != 4) enqueue_optimal<Width, Side>(solved, stream);
}

template <int Width, int Side, bool AnyWeight, class Weight, class Importance>
status launch(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  enqueue_any<Width, Side, AnyWeight>(problem, stream);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
