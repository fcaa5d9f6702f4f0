/// \file
/// Whether compress.cuh's form is the installed cuSPARSELt's on the current GPU, byte for byte; and how to time it.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/sparse24/compress.cuh"
#include "tsenor/sparse24/sparse_product.cuh"

namespace tsenor {
namespace sparse24 {
inline namespace TSENOR_ABI {

/// Different 16-bit numbers with magnitudes in [2^-3, 2), as float16 and as bfloat16 none of them zero.
template <class T>
__global__ void fill_kernel(T* to, std::size_t count, bool brain) {
  const std::size_t stride = std::size_t(gridDim.x) * blockDim.x;
  for (std::size_t k = std::size_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    std::uint32_t x = std::uint32_t(k) * 2654435761u ^ std::uint32_t(k >> 32);
    x = (x ^ x >> 15) * 2246822519u;  // the finish of a common integer hash
    x ^= x >> 13;
    const std::uint32_t fraction = brain ? x & 0x1ffu : x & 0xfffu;  // and two bits of exponent
    to[k].bits = static_cast<std::uint16_t>((x >> 16 & 0x8000u) | ((brain ? 0x3e00u : 0x3000u) + fraction));
  }
}

template <class Word>
__global__ void count_differences_kernel(const Word* a, const Word* b, std::size_t words, std::uint32_t* differences) {
  const std::size_t stride = std::size_t(gridDim.x) * blockDim.x;
  std::uint32_t mine = 0;
  for (std::size_t k = std::size_t(blockIdx.x) * blockDim.x + threadIdx.x; k < words; k += stride) mine += a[k] != b[k];
  if (mine != 0) atomicAdd(differences, mine);
}

inline constexpr int check_blocks = 1024, check_threads = 256;

/// Fills `[count]` 16-bit values with numbers fit for timing products.
template <class T>
status fill(T* to, std::size_t count, cudaStream_t stream) {
  using stored = tsenor::detail::storage_t<T>;
  fill_kernel<<<check_blocks, check_threads, 0, stream>>>(reinterpret_cast<stored*>(to), count,
                                                          std::is_same_v<stored, bfloat16>);
  return tsenor::detail::launch_status();
}

/// The least device time of a few calls, which return a status.
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

/// What check_format works with: device memory of the caller's, each 16-byte aligned.
template <class T>
struct format_buffers {
  T* weights;            ///< m * k elements
  void* own;             ///< compressed_size(m, k) bytes
  void* vendors;         ///< product.compressed_size() bytes
  void* vendors_buffer;  ///< product.compress_buffer() bytes
  std::uint32_t* differences;
};

/// Compresses the same pruned matrix `[m, k]` both ways and compares. Leaves it and both forms in the buffers.
///
/// \param same  true if all bytes are equal; false too where m or k is no multiple of 64, or sizes differ, and then
///              nothing was compressed
/// \return an error of CUDA or of the libraries. Waits for the stream
template <class T>
status check_format(const sparse_product& product, std::int64_t m, std::int64_t k, const format_buffers<T>& b,
                    bool* same, cudaStream_t stream) {
  *same = false;
  if (m % granularity != 0 || k % granularity != 0 || compressed_size(m, k) != product.compressed_size()) return {};
  mask_outputs<T> out;
  out.pruned = b.weights;
  status s = fill(b.weights, std::size_t(m * k), stream);
  if (s.ok()) s = find_mask_and_compress(matrix_view<T>(b.weights, m, k), out, {b.own, nullptr}, magnitude{}, stream);
  if (s.ok()) s = product.compress(b.weights, b.vendors, b.vendors_buffer, stream);
  if (s.ok()) s = tsenor::detail::runtime_status(cudaMemsetAsync(b.differences, 0, sizeof(std::uint32_t), stream));
  if (!s.ok()) return s;
  count_differences_kernel<<<check_blocks, check_threads, 0, stream>>>(
      static_cast<const std::uint32_t*>(b.own), static_cast<const std::uint32_t*>(b.vendors),
      compressed_size(m, k) / sizeof(std::uint32_t), b.differences);
  s = tsenor::detail::launch_status();
  std::uint32_t differences = 1;
  if (s.ok())
    s = tsenor::detail::runtime_status(
        cudaMemcpyAsync(&differences, b.differences, sizeof differences, cudaMemcpyDeviceToHost, stream));
  if (s.ok()) s = tsenor::detail::runtime_status(cudaStreamSynchronize(stream));
  *same = s.ok() && differences == 0;
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace sparse24
}  // namespace tsenor
