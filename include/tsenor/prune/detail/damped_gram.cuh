// A layer's gram matrix, cleaned of dead inputs, scaled and damped.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/gram_entry.hpp"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

// Entry (i, j) of scale * gram + damping * I. Dead inputs have nothing in common with others, and a diagonal of their
// own; other entries that are no numbers are 0.
struct damped_gram {
  const float* gram;
  std::int64_t n;
  float scale;
  float dead_diagonal;
  const double* damping;  // one number

  __device__ bool live(std::int64_t i) const { return is_live(gram[i * n + i]); }
  __device__ float undamped_diagonal(std::int64_t i) const { return live(i) ? scale * gram[i * n + i] : dead_diagonal; }
  __device__ float operator()(std::int64_t i, std::int64_t j) const {
    if (i == j) return float(undamped_diagonal(i) + *damping);
    const float entry = gram[i * n + j];
    return live(i) && live(j) && is_number(entry) ? scale * entry : 0.f;
  }
};

// By one block: the damping, `fraction` of the mean of the diagonal, or 1 where that is 0; and the number of dead
// inputs.
struct find_damping {
  damped_gram h;
  double fraction;
  double* damping;
  std::int32_t* dead;
  __device__ void operator()(std::int64_t) const {
    double sum = 0, count = 0;
    for (std::int64_t j = threadIdx.x; j < h.n; j += row_threads) {
      sum += h.undamped_diagonal(j);
      count += !h.live(j);
    }
    sum = block_sum(sum);
    count = block_sum(count);
    if (threadIdx.x != 0) return;
    *damping = sum > 0 ? fraction * sum / double(h.n) : 1;
    *dead = std::int32_t(count);
  }
};

// A layer's weights in a matrix of their own, each times its column's factor; what is no number is 0.
struct copy_weights {
  const float* from;
  std::int64_t from_stride;
  float* to;
  std::int64_t to_stride;
  const float* factors;  // null: 1
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const float weight = from[i * from_stride + j];
    to[i * to_stride + j] = is_number(weight) ? weight * (factors != nullptr ? factors[j] : 1.f) : 0.f;
  }
};

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
