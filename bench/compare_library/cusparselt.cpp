/// \file
/// The peer cuSPARSELt: its TILE prune of a square half-precision matrix.
#include <cstdint>

#include "../vendor_prune.hpp"

extern "C" {

/// A prune for matrices `[side, side]`; lives until the process ends.
void* open_cusparselt(std::int64_t side) { return new tsenor_bench::vendor_tile_prune(side); }

const char* prune_with_cusparselt(const void* prune, const void* weights, void* pruned, void* stream) {
  const auto& call = *static_cast<const tsenor_bench::vendor_tile_prune*>(prune);
  const cusparseStatus_t done =
      call(static_cast<const __half*>(weights), static_cast<__half*>(pruned), static_cast<cudaStream_t>(stream));
  return done == CUSPARSE_STATUS_SUCCESS ? nullptr : cusparseLtGetErrorString(done);
}

}  // extern "C"
