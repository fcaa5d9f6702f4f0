// cuBLAS and cuSOLVER with the errors as a status, row-major.
#pragma once

#include <cstdint>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/prune/handles.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

inline status blas_status(cublasStatus_t s) {
  if (s == CUBLAS_STATUS_SUCCESS) return {};
  return {status_code::device_error, "cuBLAS refused the call (observed() is the cublasStatus_t)", s};
}

inline status solver_status(cusolverStatus_t s) {
  if (s == CUSOLVER_STATUS_SUCCESS) return {};
  return {status_code::device_error, "cuSOLVER refused the call (observed() is the cusolverStatus_t)", s};
}

inline status check_handles(const handles& on, bool needs_solver) {
  if (on.blas == nullptr) return {status_code::invalid_pointer, "handles::blas is null: give one from cublasCreate"};
  if (needs_solver && on.solver == nullptr)
    return {status_code::invalid_pointer, "handles::solver is null: give one from cusolverDnCreate"};
  cudaStream_t blas = nullptr, solver = on.stream;
  if (const status s = blas_status(cublasGetStream(on.blas, &blas)); !s) return s;
  if (needs_solver)
    if (const status s = solver_status(cusolverDnGetStream(on.solver, &solver)); !s) return s;
  if (blas != on.stream || solver != on.stream)
    return {status_code::invalid_option,
            "the handles are not set to handles::stream: call cublasSetStream and cusolverDnSetStream first"};
  return {};
}

// For the scope, scalars come from the host and products are in the arithmetic asked for, whatever the handle was set
// to.
class blas_settings {
 public:
  explicit blas_settings(cublasHandle_t blas, arithmetic how = arithmetic::fp32) : blas_(blas) {
    outcome_ = blas_status(cublasGetMathMode(blas, &math_));
    if (outcome_) outcome_ = blas_status(cublasGetPointerMode(blas, &pointers_));
    if (!outcome_) return;
    changed_ = true;
    outcome_ = blas_status(
        cublasSetMathMode(blas, how == arithmetic::tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
    if (outcome_) outcome_ = blas_status(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_HOST));
  }
  ~blas_settings() {
    if (!changed_) return;
    static_cast<void>(cublasSetMathMode(blas_, math_));
    static_cast<void>(cublasSetPointerMode(blas_, pointers_));
  }
  blas_settings(const blas_settings&) = delete;
  blas_settings& operator=(const blas_settings&) = delete;

  status outcome() const { return outcome_; }

 private:
  cublasHandle_t blas_;
  cublasMath_t math_ = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers_ = CUBLAS_POINTER_MODE_HOST;
  bool changed_ = false;
  status outcome_;
};

// A row-major matrix with its stride, for products.
struct operand {
  const float* data;
  std::int64_t stride;
};

// c = alpha a b + beta c, with a [rows, inner], b [inner, cols], c [rows, cols], all row-major.
inline status multiply(const handles& on, std::int64_t rows, std::int64_t inner, std::int64_t cols, float alpha,
                       operand a, operand b, float beta, float* c, std::int64_t c_stride) {
  // Read by columns, as cuBLAS does, each matrix is its transpose: c^T = b^T a^T.
  return blas_status(cublasSgemm(on.blas, CUBLAS_OP_N, CUBLAS_OP_N, int(cols), int(rows), int(inner), &alpha, b.data,
                                 int(b.stride), a.data, int(a.stride), &beta, c, int(c_stride)));
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
