/// \file
/// The compressed 2:4 estimate of an output gradient, of mvue.hpp, on the GPU: one kernel that reads the gradient once.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/sparse24/mvue.hpp"

namespace tsenor {
namespace sparse24 {
namespace detail {
inline namespace TSENOR_ABI {

// Blocks that a multiprocessor should have room for; before sm_80 it has room for 1024 threads.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr int mvue_blocks = 4;
#else
inline constexpr int mvue_blocks = 5;
#endif

template <class T>
__global__ void __launch_bounds__(mvue_threads, mvue_blocks) mvue_kernel(const mvue_problem problem) {
  __shared__ mvue_memory memory;
  const mvue_block at{std::int64_t(blockIdx.y) * mvue_tokens, std::int64_t(blockIdx.x) * mvue_features};
  draw_part<T>(problem, at, int(threadIdx.x), memory);
  __syncthreads();
  store_part(problem, at, int(threadIdx.x), memory);
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// The same as compress_mvue() on the CPU, bit for bit, with `gradient`, `compressed` and what `random` points to in
/// device memory.
///
/// \param stream  where the work is ordered; it runs on this stream's own device
/// \return as on the CPU, and no_device and device_error
///
/// One launch; no allocation, no workspace, no synchronisation; may be captured in a graph, whose replays draw anew if
/// random_state::offset_at points to a number that is raised in between. Cost: reads the gradient, writes 9/16 of its
/// size.
///
/// \code
/// const tsenor::matrix_view<const __nv_bfloat16> dy(gradient, tokens, features);
/// const tsenor::sparse24::random_state random{seed, step * tsenor::sparse24::mvue_numbers};
/// const tsenor::status s = tsenor::sparse24::compress_mvue(dy, compressed, random, stream);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <class T>
status compress_mvue(matrix_view<const T> gradient, void* compressed, random_state random, cudaStream_t stream) {
  namespace library = tsenor::detail;
  if constexpr (detail::check_mvue_type<T>()) {
    if (const status s = library::pending_error(); !s) return s;
    if (const status s = library::check_gradient24(gradient, compressed, random, detail::most_mvue_tokens); !s)
      return s;
    if (gradient.rows == 0 || gradient.cols == 0) return {};
    const library::stream_device on_device(stream);
    if (!on_device.outcome()) return on_device.outcome();
    const dim3 blocks(unsigned(gradient.cols / detail::mvue_features),
                      unsigned((gradient.rows + detail::mvue_tokens - 1) / detail::mvue_tokens));
    detail::mvue_kernel<library::storage_t<T>>
        <<<blocks, detail::mvue_threads, 0, stream>>>(detail::problem_of(gradient, compressed, random));
    return library::launch_status();
  } else {
    return {};
  }
}

}  // namespace TSENOR_ABI
}  // namespace sparse24
}  // namespace tsenor
