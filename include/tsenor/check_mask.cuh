/// \file
/// Counts where a mask breaks its pattern, on the GPU.
#pragma once

#include <cuda_runtime.h>

#include "tsenor/check_mask.hpp"
#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"

namespace tsenor {
namespace detail {
inline namespace TSENOR_ABI {

/// A block takes a strip: as many whole tiles of a band, side by side, as it has threads for their columns. As a tile
/// is square there is then a thread for each of their rows too.
inline constexpr int strip_threads = 256;

struct mask_strip {
  const std::uint8_t* data;
  int height;
  int width;  // columns, at most strip_threads
};

inline __device__ mask_strip strip_of(const mask_bands& bands, std::int64_t index, std::int64_t strips_per_band) {
  const int columns = strip_threads / bands.shape.m * bands.shape.m;
  const std::int64_t band = index / strips_per_band, first = index % strips_per_band * columns;
  const std::int64_t left = bands.mask.cols - first;
  return {bands.band(band) + first, bands.height(band), left < columns ? static_cast<int>(left) : columns};
}

/// Whether the thread's column of the strip breaks the constraint. Leaves what is kept in `kept`, for row_breaks.
inline __device__ bool column_breaks(const mask_bands& bands, const mask_strip& strip,
                                     std::uint8_t (*kept)[strip_threads]) {
  const int column = threadIdx.x, m = bands.shape.m;
  if (column >= strip.width) return false;
  int count = 0;
  for (int i = 0; i < strip.height; ++i) {
    const bool is_kept = strip.data[i * bands.mask.row_stride + column] != 0;
    kept[i][column] = is_kept;
    count += is_kept;
  }
  return bands.breaks(count, strip.height, min(m, strip.width - column / m * m));
}

/// Whether the thread's row of its tile breaks the constraint.
inline __device__ bool row_breaks(const mask_bands& bands, const mask_strip& strip,
                                  const std::uint8_t (*kept)[strip_threads]) {
  const int m = bands.shape.m, row = threadIdx.x % m, first = threadIdx.x / m * m;
  if (row >= strip.height || first >= strip.width) return false;
  const int width = min(m, strip.width - first);
  int count = 0;
  for (int j = 0; j < width; ++j) count += kept[row][first + j];
  return bands.breaks(count, strip.height, width);
}

inline __device__ void add_to(std::int64_t* total, std::int64_t found) {
  if (found == 0) return;
  atomicAdd(reinterpret_cast<unsigned long long*>(total), static_cast<unsigned long long>(found));
}

static __global__ void __launch_bounds__(strip_threads)
    count_violations_kernel(mask_bands bands, std::int64_t strips, std::int64_t strips_per_band,
                            mask_violations* result) {
  __shared__ std::uint8_t kept[max_tile][strip_threads];
  mask_violations found{0, 0};
  for (std::int64_t k = blockIdx.x; k < strips; k += gridDim.x) {
    const mask_strip strip = strip_of(bands, k, strips_per_band);
    found.cols += __syncthreads_count(column_breaks(bands, strip, kept));
    found.rows += __syncthreads_count(row_breaks(bands, strip, kept));
  }
  if (threadIdx.x == 0) {
    add_to(&result->rows, found.rows);
    add_to(&result->cols, found.cols);
  }
}

inline status launch_check_mask(const mask_bands& bands, mask_violations* result, cudaStream_t stream) {
  if (const status s = pending_error(); !s) return s;
  const stream_device on_device(stream);
  if (!on_device.outcome()) return on_device.outcome();
  if (const status s = runtime_status(cudaMemsetAsync(result, 0, sizeof *result, stream)); !s) return s;

  constexpr std::int64_t most_blocks = 1 << 16;  // enough to fill any device; a block then takes several strips
  const std::int64_t columns = strip_threads / bands.shape.m * bands.shape.m;
  const std::int64_t strips_per_band = (bands.mask.cols + columns - 1) / columns;
  const std::int64_t strips = bands.count() * strips_per_band;
  if (strips == 0) return {};
  const auto blocks = static_cast<unsigned>(strips < most_blocks ? strips : most_blocks);
  count_violations_kernel<<<blocks, strip_threads, 0, stream>>>(bands, strips, strips_per_band, result);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// Counts the rows and columns of tiles in which a mask breaks its pattern, on the GPU.
///
/// \param p       the pattern N:M
/// \param mask    `[batch, rows, cols]` bytes in device memory; any value but 0 means "kept". Read only.
/// \param result  one struct in device memory, overwritten; must not be null
/// \param kept    constraint::at_most: a row or column that keeps more than N breaks the pattern;
///                constraint::exactly: one that keeps any number but N does
/// \param at_edge edge::partial accepts rows and columns that are no multiple of M: the smaller tiles at the right
///                and bottom edge may keep at most N, whatever `kept` says
/// \param stream  the stream to run on, on its own device
/// \return an error, with nothing enqueued, for the arguments that the CPU's check_mask refuses, and for an error that
///         was pending on the device before the call (it stays pending). An error of the launch itself leaves `*result`
///         undefined.
///
/// Stream-ordered: a memset and one launch; no allocation, no synchronisation; a CUDA graph can capture it. The buffers
/// have to live until the stream has done the work. Deterministic. Cost: one pass over the mask.
///
/// \code
/// tsenor::mask_violations* found = nullptr;  // in device memory
/// if (cudaMalloc(&found, sizeof *found) != cudaSuccess) return;
/// const tsenor::pattern p{8, 16};
/// const tsenor::matrix_view<const std::uint8_t> view(mask, rows, cols);
/// const auto kept = tsenor::constraint::exactly;
/// const tsenor::status s = tsenor::check_mask(p, view, found, kept, tsenor::edge::reject, stream);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
inline status check_mask(pattern p, matrix_view<const std::uint8_t> mask, mask_violations* result,
                         constraint kept = constraint::at_most, edge at_edge = edge::reject,
                         cudaStream_t stream = nullptr) {
  if (const status s = detail::check_mask_arguments(p, mask, result, kept, at_edge); !s) return s;
  return detail::launch_check_mask({mask, p, kept == constraint::exactly}, result, stream);
}

/// The same with the pattern as template arguments: `check_mask<8, 16>({mask, rows, cols}, found)`. An unsupported
/// pattern does not compile.
template <int N, int M>
status check_mask(matrix_view<const std::uint8_t> mask, mask_violations* result, constraint kept = constraint::at_most,
                  edge at_edge = edge::reject, cudaStream_t stream = nullptr) {
  static_assert(is_supported({N, M}), "unsupported pattern N:M: choose 1 <= N <= M and 2 <= M <= 64");
  return check_mask(pattern{N, M}, mask, result, kept, at_edge, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor
