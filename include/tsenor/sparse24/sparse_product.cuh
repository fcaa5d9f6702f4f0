/// \file
/// Products with a 2:4 sparse matrix on sparse tensor cores, by cuSPARSELt: what is planned once for a shape.
#pragma once

#include <cuda_runtime.h>
#include <cusparseLt.h>
#include <library_types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tsenor/status.hpp"

namespace tsenor {
namespace sparse24 {

inline status status_of(cusparseStatus_t error) {
  if (error == CUSPARSE_STATUS_SUCCESS) return {};
  return {status_code::device_error,
          "cuSPARSELt refused the call: 2:4 products need compute capability 8.0, and rows and columns that are "
          "multiples of 16 (observed() is the cusparseStatus_t)",
          error};
}

/// How the dense matrices lie of a product with a sparse `a` `[m, k]`, all row-major.
enum class product_layout {
  a_last,  ///< y `[n, m]` = x a^T with x `[n, k]`
  a_first  ///< y `[m, n]` = a x with x `[k, n]`
};

/// A product with a sparse matrix, all in device memory, of one 16-bit type, with sums in float. Neither copied nor
/// moved, as the library's descriptors point to each other.
class sparse_product {
 public:
  sparse_product() = default;
  sparse_product(const sparse_product&) = delete;
  sparse_product& operator=(const sparse_product&) = delete;
  ~sparse_product() { release(); }

  /// Plans for a shape, with the library's default algorithm. `library` must outlive the product.
  status plan(const cusparseLtHandle_t& library, cudaDataType type, std::int64_t m, std::int64_t k, std::int64_t n,
              product_layout layout = product_layout::a_last) {
    release();
    library_ = &library;
    if (const status s = describe(type, m, k, n, layout == product_layout::a_last); !s) return s;
    status s =
        status_of(cusparseLtMatmulAlgSelectionInit(library_, &algorithm_, &product_, CUSPARSELT_MATMUL_ALG_DEFAULT));
    has_algorithm_ = s.ok();
    if (s.ok()) s = status_of(cusparseLtMatmulPlanInit(library_, &plan_, &product_, &algorithm_));
    has_plan_ = s.ok();
    if (s.ok()) s = status_of(cusparseLtSpMMACompressedSize(library_, &plan_, &compressed_size_, &compress_buffer_));
    if (s.ok()) s = ask_workspace();
    return s;
  }

  std::size_t compressed_size() const { return compressed_size_; }  ///< bytes of a compressed `a`
  std::size_t compress_buffer() const { return compress_buffer_; }  ///< bytes of scratch that compress() needs
  std::size_t workspace() const { return workspace_; }              ///< bytes of scratch that search() and run() need

  /// The vendor's compress of a pruned `a`, into compressed_size() bytes.
  status compress(const void* a, void* compressed, void* buffer, cudaStream_t stream) const {
    return status_of(cusparseLtSpMMACompress(library_, &plan_, a, compressed, buffer, stream));
  }

  /// Tries the library's algorithms and keeps the fastest for run(). Overwrites `y`; waits for the stream, so it is no
  /// part of a graph. workspace() may be larger afterwards.
  status search(const void* a, const void* x, void* y, void* workspace, cudaStream_t stream) {
    const float one = 1, zero = 0;
    const status s =
        status_of(cusparseLtMatmulSearch(library_, &plan_, &one, a, x, &zero, y, y, workspace, &stream, 1));
    return s.ok() ? ask_workspace() : s;
  }

  /// Enqueues the product.
  status run(const void* a, const void* x, void* y, void* workspace, cudaStream_t stream) const {
    const float one = 1, zero = 0;
    return status_of(cusparseLtMatmul(library_, &plan_, &one, a, x, &zero, y, y, workspace, &stream, 1));
  }

 private:
  /// y^T = a x^T, where y^T is column-major; or y = a x.
  status describe(cudaDataType type, std::int64_t m, std::int64_t k, std::int64_t n, bool a_last) {
    constexpr std::uint32_t alignment = 16;  // bytes
    constexpr auto row = CUSPARSE_ORDER_ROW, col = CUSPARSE_ORDER_COL;
    constexpr auto as_it_is = CUSPARSE_OPERATION_NON_TRANSPOSE, transposed = CUSPARSE_OPERATION_TRANSPOSE;
    status s = status_of(cusparseLtStructuredDescriptorInit(library_, &a_, m, k, k, alignment, type, row,
                                                            CUSPARSELT_SPARSITY_50_PERCENT));
    has_a_ = s.ok();
    const std::int64_t x_rows = a_last ? n : k, x_cols = a_last ? k : n;
    if (s.ok())
      s = status_of(cusparseLtDenseDescriptorInit(library_, &x_, x_rows, x_cols, x_cols, alignment, type, row));
    has_x_ = s.ok();
    if (s.ok())
      s = status_of(
          cusparseLtDenseDescriptorInit(library_, &y_, m, n, a_last ? m : n, alignment, type, a_last ? col : row));
    has_y_ = s.ok();
    if (s.ok())
      s = status_of(cusparseLtMatmulDescriptorInit(library_, &product_, as_it_is, a_last ? transposed : as_it_is, &a_,
                                                   &x_, &y_, &y_, CUSPARSE_COMPUTE_32F));
    return s;
  }

  status ask_workspace() {
    std::size_t bytes = 0;
    const status s = status_of(cusparseLtMatmulGetWorkspace(library_, &plan_, &bytes));
    workspace_ = std::max(workspace_, bytes);
    return s;
  }

  void release() {
    if (has_plan_) static_cast<void>(cusparseLtMatmulPlanDestroy(&plan_));
    if (has_algorithm_) static_cast<void>(cusparseLtMatmulAlgSelectionDestroy(&algorithm_));
    if (has_a_) static_cast<void>(cusparseLtMatDescriptorDestroy(&a_));
    if (has_x_) static_cast<void>(cusparseLtMatDescriptorDestroy(&x_));
    if (has_y_) static_cast<void>(cusparseLtMatDescriptorDestroy(&y_));
    has_plan_ = has_algorithm_ = has_a_ = has_x_ = has_y_ = false;
    compressed_size_ = compress_buffer_ = workspace_ = 0;
  }

  const cusparseLtHandle_t* library_ = nullptr;
  cusparseLtMatDescriptor_t a_, x_, y_;
  cusparseLtMatmulDescriptor_t product_;
  cusparseLtMatmulAlgSelection_t algorithm_;
  cusparseLtMatmulPlan_t plan_;
  bool has_a_ = false, has_x_ = false, has_y_ = false, has_algorithm_ = false, has_plan_ = false;
  std::size_t compressed_size_ = 0, compress_buffer_ = 0, workspace_ = 0;
};

}  // namespace sparse24
}  // namespace tsenor
