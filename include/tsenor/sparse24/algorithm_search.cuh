/// \file
/// The fastest of cuSPARSELt's algorithms for a product that give the right result.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/sparse24/format_check.cuh"
#include "tsenor/sparse24/sparse_product.cuh"
#include "tsenor/weight_types.hpp"

namespace tsenor {
namespace sparse24 {
inline namespace TSENOR_ABI {

/// Counts results of a product of depth k, of numbers that fill_kernel makes, which are further from those expected than rounding.
template <class T>
__global__ void count_wrong_kernel(const T* y, const T* expected, std::size_t count, float k, std::uint32_t* wrong) {
  const std::size_t stride = std::size_t(gridDim.x) * blockDim.x;
  std::uint32_t mine = 0;
  for (std::size_t at = std::size_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
    const float e = tsenor::detail::to_arithmetic(expected[at]), x = tsenor::detail::to_arithmetic(y[at]);
    mine += !(fabsf(x - e) <= (fabsf(e) + sqrtf(k)) / 64);
  }
  if (mine != 0) atomicAdd(wrong, mine);
}

/// How many of a product's results `[values]` are not those expected.
template <class T>
status count_wrong(const T* y, const T* expected, std::size_t values, std::int64_t k, std::uint32_t* counter,
                   std::uint32_t* result, cudaStream_t stream) {
  using stored = tsenor::detail::storage_t<T>;
  const auto launch = [&] {
    count_wrong_kernel<<<check_blocks, check_threads, 0, stream>>>(
        reinterpret_cast<const stored*>(y), reinterpret_cast<const stored*>(expected), values, float(k), counter);
  };
  return count(launch, counter, result, stream);
}

/// The least device time of a few calls.
template <class Call>
status device_ms(const Call& call, cudaStream_t stream, float* least) {
  constexpr int untimed = 2, timed = 5;
  cudaEvent_t events[2] = {};
  for (cudaEvent_t& e : events) cudaEventCreate(&e);
  status s;
  *least = std::numeric_limits<float>::infinity();
  for (int k = 0; k < untimed + timed && s.ok(); ++k) {
    float ms = 0;
    cudaEventRecord(events[0], stream);
    s = call();
    cudaEventRecord(events[1], stream);
    cudaEventSynchronize(events[1]);
    cudaEventElapsedTime(&ms, events[0], events[1]);
    if (k >= untimed) *least = std::min(*least, ms);
  }
  for (const cudaEvent_t e : events) cudaEventDestroy(e);
  return s.ok() ? tsenor::detail::launch_status() : s;
}

/// What the search works with, all of it in device memory.
template <class T>
struct search_buffers {
  const T* a;         ///< pruned, `[m, k]`
  const T* x;         ///< `[n, k]`
  T* y;               ///< `[n, m]`
  const T* expected;  ///< the first `checked` numbers of y, by a dense product
  std::size_t checked;
  void* operand;  ///< a in compress.cuh's form; or, for the vendor's form, room for it
  void* buffer;   ///< the vendor's compress needs it; null: the operand is there already
  void* workspace;
  std::size_t workspace_bytes;
  std::uint32_t* counter;
};

/// Tries the algorithm that the product has now. It is right if it gives what the dense product does whatever the workspace
/// holds: some of cuSPARSELt 0.8 for float16 take the kept entries' positions from there, where a product before left them.
///
/// \param ms  the least time of a few runs, if it is right
template <class T>
status try_algorithm(const sparse_product& product, std::int64_t k, const search_buffers<T>& b, bool* right, float* ms,
                     cudaStream_t stream) {
  constexpr int positions = 0x44;  // bytes of valid positions: others would be illegal instructions
  status s;
  if (b.buffer) s = product.compress(b.a, b.operand, b.buffer, stream);
  if (s.ok()) s = tsenor::detail::runtime_status(cudaMemsetAsync(b.workspace, positions, b.workspace_bytes, stream));
  if (s.ok()) s = tsenor::detail::runtime_status(cudaMemsetAsync(b.y, 0xff, b.checked * sizeof(T), stream));
  const auto run = [&] { return product.run(b.operand, b.x, b.y, b.workspace, stream); };
  if (s.ok()) s = run();
  std::uint32_t wrong = 1;
  if (s.ok()) s = count_wrong<T>(b.y, b.expected, b.checked, k, b.counter, &wrong, stream);
  *right = s.ok() && wrong == 0;
  return *right ? device_ms(run, stream, ms) : s;
}

/// Tries all of a product's algorithms and has it use the fastest that is right; `*ms` becomes its time. Waits for the stream.
template <class T>
status use_fastest(sparse_product& product, std::int64_t k, const search_buffers<T>& b, float* ms,
                   cudaStream_t stream) {
  int best = -1;
  for (int algorithm = 0; algorithm < product.algorithms(); ++algorithm) {
    float now = 0;
    bool right = false;
    const bool fits = product.use(algorithm).ok() && product.workspace() <= b.workspace_bytes;
    if (!fits || !try_algorithm(product, k, b, &right, &now, stream).ok() || !right) continue;
    if (best >= 0 && now >= *ms) continue;
    best = algorithm;
    *ms = now;
  }
  if (best >= 0) return product.use(best);
  return {status_code::device_error, "no algorithm of cuSPARSELt gives the right product for this shape"};
}

}  // namespace TSENOR_ABI
}  // namespace sparse24
}  // namespace tsenor
