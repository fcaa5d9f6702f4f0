/// \file
/// The three products of a linear layer with a dense weight matrix, by cuBLAS.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "tsenor/status.hpp"

namespace tsenor {
namespace sparse24 {

inline status status_of(cublasStatus_t error) {
  if (error == CUBLAS_STATUS_SUCCESS) return {};
  return {status_code::device_error, "cuBLAS refused the product (observed() is the cublasStatus_t)", error};
}

/// The size of a linear layer's products: weights `[out_features, in_features]`, inputs `[tokens, in_features]`.
struct linear_shape {
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  std::int64_t tokens = 0;
};

/// Dense row-major matrices of one 16-bit type in device memory, with sums in float. `blas` is the caller's; its stream
/// is set.
class dense_products {
 public:
  dense_products(cublasHandle_t blas, cudaDataType type) : blas_(blas), type_(type) {}

  /// y = x w^T
  status forward(const linear_shape& s, const void* x, const void* w, void* y, cudaStream_t stream) const {
    return product(CUBLAS_OP_T, CUBLAS_OP_N, {s.out_features, s.tokens, s.in_features}, w, s.in_features, x,
                   s.in_features, y, stream);
  }
  /// dx = dy w
  status input_gradient(const linear_shape& s, const void* dy, const void* w, void* dx, cudaStream_t stream) const {
    return product(CUBLAS_OP_N, CUBLAS_OP_N, {s.in_features, s.tokens, s.out_features}, w, s.in_features, dy,
                   s.out_features, dx, stream);
  }
  /// dw = dy^T x
  status weight_gradient(const linear_shape& s, const void* dy, const void* x, void* dw, cudaStream_t stream) const {
    return product(CUBLAS_OP_N, CUBLAS_OP_T, {s.in_features, s.out_features, s.tokens}, x, s.in_features, dy,
                   s.out_features, dw, stream);
  }

 private:
  struct sizes {
    std::int64_t m, n, k;
  };
  /// Column-major c `[m, n]` = op(a) op(b): a row-major matrix is its transpose in column-major order.
  status product(cublasOperation_t op_a, cublasOperation_t op_b, const sizes& s, const void* a, std::int64_t a_stride,
                 const void* b, std::int64_t b_stride, void* c, cudaStream_t stream) const {
    const float one = 1, zero = 0;
    if (const status set = status_of(cublasSetStream(blas_, stream)); !set) return set;
    return status_of(cublasGemmEx(blas_, op_a, op_b, int(s.m), int(s.n), int(s.k), &one, a, type_, int(a_stride), b,
                                  type_, int(b_stride), &zero, c, type_, int(s.m), CUBLAS_COMPUTE_32F,
                                  CUBLAS_GEMM_DEFAULT));
  }

  cublasHandle_t blas_;
  cudaDataType type_;
};

}  // namespace sparse24
}  // namespace tsenor
