/// \file
/// The caller's handles, stream and memory, which the pruners on the GPU use.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstddef>

namespace tsenor::prune {

/// The caller's handles, all set to `stream` (cublasSetStream, cusolverDnSetStream), which belongs to the current
/// device. `solver` may be null unless a function says that it needs it. The functions leave the handles as they found
/// them. While one runs, no other thread may use them.
struct handles {
  cublasHandle_t blas = nullptr;
  cusolverDnHandle_t solver = nullptr;
  cudaStream_t stream = nullptr;
};

/// Scratch in device memory, aligned to 256 bytes as cudaMalloc does it, of at least the size that the function's
/// ..._workspace query gives. That part of it must be disjoint from everything else that the function takes, and its
/// contents are undefined afterwards. It has to live until the stream has done the work.
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
