// The iteration of ALPS, and the conjugate gradients that end it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/gram_entry.hpp"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

// All matrices are dense, [rows, cols].

// to = b + v / rho: what is projected.
struct projection_point {
  const float *b, *v;
  float rho;
  float* to;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const std::int64_t k = i * cols + j;
    to[k] = b[k] + v[k] / rho;
  }
};

// v += rho (b - z), which is rho (point - z); and the next right side, y - v + next_rho z, in the place of the point.
struct dual_step {
  float* point_then_side;
  const float *y, *z;
  float* v;
  float rho, next_rho;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const std::int64_t k = i * cols + j;
    const float dual = rho * (point_then_side[k] - z[k]);
    v[k] = dual;
    point_then_side[k] = y[k] - dual + next_rho * z[k];
  }
};

// v = 0, and the first right side y + rho z.
struct first_side {
  const float *y, *z;
  float *v, *side;
  float rho;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const std::int64_t k = i * cols + j;
    v[k] = 0;
    side[k] = y[k] + rho * z[k];
  }
};

// b = W D in the columns of dead inputs, which nothing but their magnitude speaks for.
struct restore_dead {
  const float* weights;
  std::int64_t weights_stride;
  const float* scale;
  float* b;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const float weight = weights[i * weights_stride + j];
    if (scale[j] < 0) b[i * cols + j] = is_number(weight) ? weight * scale[j] : 0.f;
  }
};

// Adds up where two masks differ; `count` is 0 before.
struct count_changes {
  const std::uint8_t *a, *b;
  std::int64_t cols;
  unsigned long long* count;
  __device__ void operator()(std::int64_t i) const {
    int mine = 0;
    for (std::int64_t j = threadIdx.x; j < cols; j += row_threads) mine += a[i * cols + j] != b[i * cols + j];
    const double of_row = block_sum(mine);
    if (threadIdx.x == 0 && of_row > 0) atomicAdd(count, static_cast<unsigned long long>(of_row));
  }
};

// Conjugate gradients for X H = Y on the mask, each row by itself: all steps of a row but the product P H.
struct refit {
  const std::uint8_t* mask;
  float *x, *residual, *direction;
  const float* product;  // P H
  double* squares;       // of each row: |residual|^2, and below which it is good enough
  std::int64_t rows, cols;

  __device__ double& square(std::int64_t i) const { return squares[i]; }
  __device__ double& limit(std::int64_t i) const { return squares[rows + i]; }
};

// From residual = y - x H, not masked yet.
struct begin_refit {
  static constexpr double tolerance = 1e-4;
  refit r;
  const float* y;
  __device__ void operator()(std::int64_t i) const {
    double residual = 0, target = 0;
    for (std::int64_t j = threadIdx.x; j < r.cols; j += row_threads) {
      const std::int64_t k = i * r.cols + j;
      const float mine = r.mask[k] != 0 ? r.residual[k] : 0.f;
      r.residual[k] = r.direction[k] = mine;
      residual += double(mine) * mine;
      target += double(y[k]) * y[k];
    }
    residual = block_sum(residual);
    target = block_sum(target);
    if (threadIdx.x != 0) return;
    r.square(i) = residual;
    r.limit(i) = tolerance * tolerance * target;
  }
};

struct refit_step {
  refit r;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t row = i * r.cols;
    const double square = r.square(i), curvature = row_dot(r.direction + row, r.product + row, r.cols);
    if (square <= r.limit(i) || !(curvature > 0)) return;  // the same for the whole block
    const auto length = float(square / curvature);
    double next = 0;
    for (std::int64_t k = row + threadIdx.x; k < row + r.cols; k += row_threads) {
      r.x[k] += length * r.direction[k];
      const float residual = r.mask[k] != 0 ? r.residual[k] - length * r.product[k] : 0.f;
      r.residual[k] = residual;
      next += double(residual) * residual;
    }
    next = block_sum(next);
    const auto turn = float(next / square);
    for (std::int64_t k = row + threadIdx.x; k < row + r.cols; k += row_threads)
      r.direction[k] = r.residual[k] + turn * r.direction[k];
    if (threadIdx.x == 0) r.square(i) = next;
  }
};

// The weights in the layer's own scale, +0.0 where they are pruned, and the mask.
struct unscale {
  const float *x, *scale;
  const std::uint8_t* mask;
  float* to;
  std::int64_t to_stride;
  std::uint8_t* to_mask;
  std::int64_t to_mask_stride, cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const std::int64_t k = i * cols + j;
    to[i * to_stride + j] = mask[k] != 0 ? x[k] / scale[j] : 0.f;
    to_mask[i * to_mask_stride + j] = mask[k];
  }
};

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
