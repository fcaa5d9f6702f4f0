/// \file
/// Sums the reports of many tiles, on the GPU.
#pragma once

#include <cuda_runtime.h>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/summarize.hpp"

namespace tsenor {
namespace detail {
inline namespace TSENOR_ABI {

inline constexpr int summary_threads = 512;

/// One block: thread t adds up the reports t, t + 512, ... and a tree adds up the threads, always in the same order.
static __global__ void __launch_bounds__(summary_threads)
    summarize_kernel(const tile_report* reports, std::int64_t count, report_summary* result) {
  __shared__ report_summary sums[summary_threads];
  report_summary sum = empty_summary();
  for (std::int64_t k = threadIdx.x; k < count; k += summary_threads) add_report(sum, reports[k], k);
  sums[threadIdx.x] = sum;
  for (int half = summary_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) add_summary(sums[threadIdx.x], sums[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) *result = sums[0];
}

inline status launch_summarize(const tile_report* reports, std::int64_t count, report_summary* result,
                               cudaStream_t stream) {
  if (const status s = pending_error(); !s) return s;
  const stream_device on_device(stream);
  if (!on_device.outcome()) return on_device.outcome();
  summarize_kernel<<<1, summary_threads, 0, stream>>>(reports, count, result);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// Adds up the reports of many tiles on the GPU: total value and bound, in units of importance, and the tile with the
/// largest gap between them.
///
/// \param reports `[count]` reports in device memory, as find_mask writes them. Read only.
/// \param count   tiles of the matrix, times matrices of the batch; 0 gives a summary of zeros with worst_tile = -1
/// \param result  one struct in device memory; must not be null
/// \param stream  the stream to run on, on its own device
/// \return an error, with nothing enqueued, for a negative count, null or misaligned pointers (`reports` may be null if
///         there are none), a `result` within the reports, and for an error that was pending on the device before the
///         call (it stays pending)
///
/// Stream-ordered: one launch of one block; no allocation, no synchronisation; a CUDA graph can capture it. The buffers
/// have to live until the stream has done the work. The sums are in double and in a fixed order: the same input gives
/// the same bits on every run. Cost: one pass, by a single multiprocessor.
///
/// \code
/// tsenor::mask_outputs<float> out;
/// tsenor::report_summary* sum = nullptr;  // both in device memory
/// if (cudaMalloc(&out.reports, tiles * sizeof *out.reports) != cudaSuccess) return;
/// if (cudaMalloc(&sum, sizeof *sum) != cudaSuccess) return;
/// const tsenor::matrix_view view(weights, rows, cols);
/// tsenor::status s = tsenor::find_mask<8, 16>(view, out, {}, tsenor::magnitude{}, stream);
/// if (s.ok()) s = tsenor::summarize(out.reports, tiles, sum, stream);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
inline status summarize(const tile_report* reports, std::int64_t count, report_summary* result,
                        cudaStream_t stream = nullptr) {
  if (const status s = detail::check_summarize_arguments(reports, count, result); !s) return s;
  return detail::launch_summarize(reports, count, result, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor
