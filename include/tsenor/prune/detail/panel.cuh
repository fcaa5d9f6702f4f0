// SparseGPT within a panel of M columns: the mask is applied column by column, and each column's error passed on.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

inline constexpr int panel_warps = 8;
inline constexpr int panel_rows = 32;          // of a block, so that the panel of U is read once for so many
inline constexpr int panel_floats = 48 * 256;  // of shared memory: 48 KB

// A panel, columns [0, width) of all pointers, and the columns [width, span) of its block to the right of it.
struct panel {
  float* weights;  // [rows, span]
  std::int64_t weights_stride;
  const std::uint8_t* mask;  // [rows, width]
  std::int64_t mask_stride;
  const float* factor;  // U, [width, span]
  std::int64_t factor_stride;
  const float* inverse_diagonal;  // [width], 1 / U_jj
  float* errors;                  // [rows, width], written
  std::int64_t errors_stride;
  std::int64_t rows;
  int width, span;
};

// A row's weights of the panel in a warp's registers, two columns a lane.
struct panel_row {
  float weight[2], error[2];
  std::uint32_t kept[2];
};

inline __device__ panel_row load_panel_row(const panel& p, std::int64_t row, int lane) {
  panel_row r;
  for (int h = 0; h < 2; ++h) {
    const int k = lane + 32 * h;
    r.weight[h] = k < p.width ? p.weights[row * p.weights_stride + k] : 0.f;
    r.error[h] = 0;
    r.kept[h] = __ballot_sync(0xffffffffu, k < p.width && p.mask[row * p.mask_stride + k] != 0);
  }
  return r;
}

// For each column in turn: e = (w - q) / U_jj, and w_k -= e U_jk for the columns k after it.
inline __device__ void pass_errors_on(const panel& p, const float* u, int lane, panel_row& r) {
  for (int j = 0; j < p.width; ++j) {
    const int half = j / 32, owner = j % 32;
    const float weight = __shfl_sync(0xffffffffu, r.weight[half], owner);
    if (r.kept[half] >> owner & 1u) continue;  // the same for the whole warp
    const float error = weight * p.inverse_diagonal[j];
    if (lane == owner) r.error[half] = error;
    for (int h = 0; h < 2; ++h)
      if (const int k = lane + 32 * h; k > j && k < p.width) r.weight[h] -= error * u[j * p.span + k];
  }
}

// The pruned weights and errors of the panel, and what the errors do to the block's other columns.
inline __device__ void store_panel_row(const panel& p, const float* u, std::int64_t row, int lane, const panel_row& r) {
  float* const weights = p.weights + row * p.weights_stride;
  for (int h = 0; h < 2; ++h) {
    const int k = lane + 32 * h;
    if (k >= p.width) continue;
    weights[k] = r.kept[h] >> lane & 1u ? r.weight[h] : 0.f;
    p.errors[row * p.errors_stride + k] = r.error[h];
  }
  for (int first = p.width; first < p.span; first += 32) {
    const int k = min(first + lane, p.span - 1);  // all lanes take part in the shuffles
    float sum = 0;
    for (int j = 0; j < p.width; ++j) sum += __shfl_sync(0xffffffffu, r.error[j / 32], j % 32) * u[j * p.span + k];
    if (first + lane < p.span) weights[k] -= sum;
  }
}

static __global__ void __launch_bounds__(32 * panel_warps) panel_kernel(const panel p) {
  extern __shared__ float panel_of_u[];
  for (int t = threadIdx.x; t < p.width * p.span; t += 32 * panel_warps)
    panel_of_u[t] = p.factor[t / p.span * p.factor_stride + t % p.span];
  __syncthreads();
  const int lane = threadIdx.x % 32;
  const std::int64_t first = std::int64_t(blockIdx.x) * panel_rows, end = min(first + panel_rows, p.rows);
  for (std::int64_t row = first + threadIdx.x / 32; row < end; row += panel_warps) {
    panel_row r = load_panel_row(p, row, lane);
    pass_errors_on(p, panel_of_u, lane, r);
    store_panel_row(p, panel_of_u, row, lane, r);
  }
}

inline status launch_panel(const panel& p, cudaStream_t stream) {
  const auto blocks = unsigned((p.rows - 1) / panel_rows + 1);
  panel_kernel<<<blocks, 32 * panel_warps, std::size_t(p.width) * std::size_t(p.span) * sizeof(float), stream>>>(p);
  return tsenor::detail::launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
