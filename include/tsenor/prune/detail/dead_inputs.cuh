// Factors for the inputs that are dead, so that their weights come after all others.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/saliency.hpp"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

// The block's smallest `x`, given to all threads.
inline __device__ float block_smallest(float x) {
  __shared__ float of_warp[row_threads / 32];
  for (int step = 16; step > 0; step /= 2) x = fminf(x, __shfl_xor_sync(0xffffffffu, x, step));
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
  __syncthreads();
  for (const float other : of_warp) x = fminf(x, other);
  return x;
}

// By one block: what is not above 0 belongs to a dead input, and becomes negative; see saliency.hpp.
struct rank_dead_inputs {
  float* factors;  // [inputs]
  bool squares;
  std::int64_t inputs;
  __device__ void operator()(std::int64_t) const {
    float smallest = no_factor;
    for (std::int64_t j = threadIdx.x; j < inputs; j += row_threads)
      if (factors[j] > 0) smallest = fminf(smallest, factors[j]);
    const float of_dead = factor_of_dead(block_smallest(smallest), squares);
    for (std::int64_t j = threadIdx.x; j < inputs; j += row_threads)
      if (!(factors[j] > 0)) factors[j] = of_dead;
  }
};

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
