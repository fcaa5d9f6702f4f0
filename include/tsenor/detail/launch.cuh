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
void enqueue(const problem<Weight, Importance>& p, cudaStream_t stream) {
  constexpr int warps = block_warps<Width, For>;
  const unsigned blocks = blocks_for(p.grid.tiles, warps * cuda::lanes<Width, For>::tiles_per_warp);
  find_mask_kernel<For, Width><<<blocks, 32 * warps, 0, stream>>>(p);
}

template <class Weight, class Importance>
void enqueue_tiles4(const problem<Weight, Importance>& p, cudaStream_t stream) {
  const unsigned blocks = blocks_for(p.grid.tiles, block_tiles4);
  const bool plain = p.in_fours() && !p.certifies();
  if (p.kept == constraint::exactly) {
    if (plain)
      find_mask_kernel4<true, constraint::exactly><<<blocks, block_tiles4, 0, stream>>>(p);
    else
      find_mask_kernel4<false, constraint::exactly><<<blocks, block_tiles4, 0, stream>>>(p);
  } else {
    if (plain)
      find_mask_kernel4<true, constraint::at_most><<<blocks, block_tiles4, 0, stream>>>(p);
    else
      find_mask_kernel4<false, constraint::at_most><<<blocks, block_tiles4, 0, stream>>>(p);
  }
}

// Whether the plain kernel solves it: exactly n, in whole tiles as wide as its lanes. It writes no reports: their code alone
// would cost it registers and room in the instruction cache, whether they are asked for or not.
template <int Width, class Weight, class Importance>
bool is_plain(const problem<Weight, Importance>& p) {
  return p.kept == constraint::exactly && p.nm.m == Width && p.grid.rows % Width == 0 && p.grid.cols % Width == 0 &&
         p.out.reports == nullptr;
}

template <int Width, class Weight, class Importance>
void enqueue_solver(const problem<Weight, Importance>& p, cudaStream_t stream) {
  if (p.how == method::published && Width == 8 && p.nm.m <= 4)
    enqueue<work::published, Width == 8 ? 4 : Width>(p, stream);
  else if (p.how == method::published)
    enqueue<work::published, Width>(p, stream);
  else if (is_plain<Width>(p))
    enqueue<work::optimal_plain, Width>(p, stream);
  else
    enqueue<work::optimal, Width>(p, stream);
}

template <int Width, bool AnyWeight, class Weight, class Importance>
status launch(const problem<Weight, Importance>& p, cudaStream_t stream) {
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  if (Width == 8 && p.takes_tile4_solver()) {
    if constexpr (Width == 8) enqueue_tiles4(p, stream);
  } else {
    enqueue_solver<Width>(as_solved<AnyWeight>(p), stream);
  }
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::detail
