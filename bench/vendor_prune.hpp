/// \file
/// The vendor's tile prune: cuSPARSELt's exact 2:4 mask in both directions. Compiled where the library is found
/// (TSENOR_HAVE_CUSPARSELT).
#pragma once

#include <cuda_fp16.h>
#include <cusparseLt.h>

#include <cstdint>

namespace tsenor_bench {

/// Prunes dense square matrices of one size, after setting up once what the library asks for. Where that fails, each
/// call says so.
class vendor_tile_prune {
 public:
  explicit vendor_tile_prune(std::int64_t side) : set_up_(set_up(side)) {}
  vendor_tile_prune(const vendor_tile_prune&) = delete;
  vendor_tile_prune& operator=(const vendor_tile_prune&) = delete;

  cusparseStatus_t operator()(const __half* weights, __half* pruned, cudaStream_t stream) const {
    if (set_up_ != CUSPARSE_STATUS_SUCCESS) return set_up_;
    return cusparseLtSpMMAPrune(&library_, &product_, weights, pruned, CUSPARSELT_PRUNE_SPMMA_TILE, stream);
  }

 private:
  /// The library stays initialised until the program ends.
  cusparseStatus_t set_up(std::int64_t side) {
    constexpr std::uint32_t alignment = 16;  // bytes
    constexpr auto type = CUDA_R_16F;
    constexpr auto order = CUSPARSE_ORDER_ROW;
    constexpr auto op = CUSPARSE_OPERATION_NON_TRANSPOSE;
    cusparseStatus_t status = cusparseLtInit(&library_);
    if (status == CUSPARSE_STATUS_SUCCESS)
      status = cusparseLtStructuredDescriptorInit(&library_, &sparse_, side, side, side, alignment, type, order,
                                                  CUSPARSELT_SPARSITY_50_PERCENT);
    if (status == CUSPARSE_STATUS_SUCCESS)
      status = cusparseLtDenseDescriptorInit(&library_, &dense_, side, side, side, alignment, type, order);
    if (status == CUSPARSE_STATUS_SUCCESS)
      status = cusparseLtMatmulDescriptorInit(&library_, &product_, op, op, &sparse_, &dense_, &dense_, &dense_,
                                              CUSPARSE_COMPUTE_32F);
    return status;
  }

  cusparseLtHandle_t library_;
  cusparseLtMatDescriptor_t sparse_, dense_;
  cusparseLtMatmulDescriptor_t product_;
  cusparseStatus_t set_up_;  // last: set_up() fills the others
};

}  // namespace tsenor_bench
