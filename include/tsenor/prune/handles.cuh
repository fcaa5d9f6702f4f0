/// \file
/// What the pruners on the GPU work with: the caller's handles, stream and memory.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstddef>

namespace tsenor::prune {

/// The caller's handles, all set to `stream` (cublasSetStream, cusolverDnSetStream), which belongs to the current
/// device. `solver` may be null where a function does not say that it needs it. The functions leave the handles as they
/// found them; while one runs, no other thread may use them.
struct handles {
  cublasHandle_t blas = nullptr;
  cusolverDnHandle_t solver = nullptr;
  cudaStream_t stream = nullptr;
};

/// Scratch in device memory, aligned to 256 bytes as cudaMalloc does it, of at least the size that the function's
/// ..._workspace query gives. Its contents are of no use afterwards. It has to live until the stream gets there.
struct workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// The arithmetic of matrix products.
enum class arithmetic {
  fp32,  ///< 24-bit significands; the default
  tf32   ///< tensor cores: inputs rounded to 11-bit significands, sums in fp32. Faster, and less exact
};

}  // namespace tsenor::prune
