// Kernels that do one thing to each element of a matrix, or to each row.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

inline constexpr int element_threads = 256;

template <class Body>
__global__ void __launch_bounds__(element_threads)
    for_each_element_kernel(std::int64_t rows, std::int64_t cols, const Body body) {
  const std::int64_t j = std::int64_t(blockIdx.x) * element_threads + threadIdx.x;
  if (j >= cols) return;
  for (std::int64_t i = blockIdx.y; i < rows; i += gridDim.y) body(i, j);
}

// body(i, j) for each element of a [rows, cols] matrix; neighbouring threads have neighbouring columns.
template <class Body>
status for_each_element(std::int64_t rows, std::int64_t cols, const Body& body, cudaStream_t stream) {
  if (rows == 0 || cols == 0) return {};
  constexpr std::int64_t most_rows = 4096;  // a block then takes several rows
  const dim3 grid(unsigned((cols - 1) / element_threads + 1), unsigned(std::min(rows, most_rows)));
  for_each_element_kernel<<<grid, element_threads, 0, stream>>>(rows, cols, body);
  return tsenor::detail::launch_status();
}

inline constexpr int row_threads = 256;

// The block's sum of each thread's `x`, in a fixed order, given to all threads.
inline __device__ double block_sum(double x) {
  __shared__ double sums[row_threads / 32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  __syncthreads();  // the sums of the call before have been read
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  double total = 0;
  for (const double part : sums) total += part;
  return total;
}

template <class Body>
__global__ void __launch_bounds__(row_threads) for_each_row_kernel(std::int64_t rows, Body body) {
  for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) body(i);
}

// body(i) by a whole block of row_threads for each row.
template <class Body>
status for_each_row(std::int64_t rows, const Body& body, cudaStream_t stream) {
  if (rows == 0) return {};
  constexpr std::int64_t most_blocks = 1 << 16;
  for_each_row_kernel<<<unsigned(std::min(rows, most_blocks)), row_threads, 0, stream>>>(rows, body);
  return tsenor::detail::launch_status();
}

// The dot product of two rows, by the block.
inline __device__ double row_dot(const float* a, const float* b, std::int64_t cols) {
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < cols; j += row_threads) sum += double(a[j]) * b[j];
  return block_sum(sum);
}

// Fills the strictly lower triangle of a row-major [n, n] matrix with its upper one.
struct mirror_upper {
  float* matrix;
  std::int64_t n;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    if (j < i) matrix[i * n + j] = matrix[j * n + i];
  }
};

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
