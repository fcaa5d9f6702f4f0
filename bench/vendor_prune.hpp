/// \file
/// The vendor's tile prune: cuSPARSELt's exact 2:4 mask in both directions. Compiled where the library is found
/// (TSENOR_HAVE_CUSPARSELT).
#pragma once

#include <cuda_fp16.h>
#include <cusparseLt.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tsenor_bench {

inline void require(cusparseStatus_t status, const char* what) {
  if (status != CUSPARSE_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": " + std::to_string(status));
}

/// Prunes dense square matrices of one size, after setting up once what the library asks for.
class vendor_tile_prune {
 public:
  explicit vendor_tile_prune(std::int64_t side) {
    constexpr std::uint32_t alignment = 16;  // bytes
    constexpr auto type = CUDA_R_16F;
    constexpr auto order = CUSPARSE_ORDER_ROW;
    constexpr auto op = CUSPARSE_OPERATION_NON_TRANSPOSE;
    require(cusparseLtInit(&library_), "cusparseLtInit");
    require(cusparseLtStructuredDescriptorInit(&library_, &sparse_, side, side, side, alignment, type, order,
                                               CUSPARSELT_SPARSITY_50_PERCENT),
            "cusparseLtStructuredDescriptorInit");
    require(cusparseLtDenseDescriptorInit(&library_, &dense_, side, side, side, alignment, type, order),
            "cusparseLtDenseDescriptorInit");
    require(cusparseLtMatmulDescriptorInit(&library_, &product_, op, op, &sparse_, &dense_, &dense_, &dense_,
                                           CUSPARSE_COMPUTE_32F),
            "cusparseLtMatmulDescriptorInit");
  }
  ~vendor_tile_prune() {
    static_cast<void>(cusparseLtMatDescriptorDestroy(&sparse_));
    static_cast<void>(cusparseLtMatDescriptorDestroy(&dense_));
    static_cast<void>(cusparseLtDestroy(&library_));
  }
  vendor_tile_prune(const vendor_tile_prune&) = delete;
  vendor_tile_prune& operator=(const vendor_tile_prune&) = delete;

  void operator()(const __half* weights, __half* pruned, cudaStream_t stream) const {
    require(cusparseLtSpMMAPrune(&library_, &product_, weights, pruned, CUSPARSELT_PRUNE_SPMMA_TILE, stream),
            "cusparseLtSpMMAPrune");
  }

 private:
  cusparseLtHandle_t library_;
  cusparseLtMatDescriptor_t sparse_, dense_;
  cusparseLtMatmulDescriptor_t product_;
};

}  // namespace tsenor_bench
