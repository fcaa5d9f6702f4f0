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
  const bool plain = problem.in_fours() && !problem.certifies();
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

// Whether a plain kernel solves it: exactly n, in whole tiles as wide as its lanes.
template <int Width, class Weight, class Importance>
bool is_plain(const problem<Weight, Importance>& problem) {
  const bool double_among_others = std::is_same_v<Weight, any_weight> && problem.format == weight_format::binary64;
  return problem.kept == constraint::exactly && problem.nm.m == Width && problem.grid.rows % Width == 0 &&
         problem.grid.cols % Width == 0 && !double_among_others;
}

// Reports have a plain kernel of their own: their code alone would cost the other registers and room in the instruction cache,
// whether they are asked for or not.
template <int Width, class Weight, class Importance>
void enqueue_optimal(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  if (!is_plain<Width>(problem))
    enqueue<work::optimal, Width>(problem, stream);
  else if (problem.out.reports != nullptr)
    enqueue<work::optimal_plain_reports, Width>(problem, stream);
  else
    enqueue<work::optimal_plain, Width>(problem, stream);
}

template <int Width, class Weight, class Importance>
void enqueue_solver(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  if (problem.how == method::published && Width == 8 && problem.nm.m <= 4)
    enqueue<work::published, Width == 8 ? 4 : Width>(problem, stream);
  else if (problem.how == method::published)
    enqueue<work::published, Width>(problem, stream);
  else
    enqueue_optimal<Width>(problem, stream);
}

// AnyWeight: by one kernel for all types of weights. With4: M may be 4, whose tiles have kernels of their own.
template <int Width, bool AnyWeight, bool With4, class Weight, class Importance>
void enqueue_any(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  if constexpr (Width == 8 && With4)
    if (problem.takes_tile4_solver()) return enqueue_tiles4(problem, stream);
  enqueue_solver<Width>(as_solved<AnyWeight>(problem), stream);
}

template <int Width, bool AnyWeight, bool With4, class Weight, class Importance>
status launch(const problem<Weight, Importance>& problem, cudaStream_t stream) {
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  enqueue_any<Width, AnyWeight, With4>(problem, stream);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
