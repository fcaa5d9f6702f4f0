/// \file
/// Writes the weights that a mask keeps, on the GPU.
#pragma once

#include <cuda_runtime.h>

#include "tsenor/apply_mask.hpp"
#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"

namespace tsenor {
namespace detail {
inline namespace TSENOR_ABI {

/// A patch is what a block takes at a time: a warp to a row, and in it several loads in flight for every lane.
inline constexpr int patch_rows = 8;
inline constexpr int loads_in_flight = 4;
inline constexpr int patch_cols = 32 * loads_in_flight;

template <class T>
__global__ void __launch_bounds__(32 * patch_rows)
    apply_mask_kernel(matrix_view<const T> weights, matrix_view<const std::uint8_t> mask, matrix_view<T> pruned,
                      std::int64_t patches, std::int64_t patches_per_row) {
  const std::int64_t all_rows = weights.batch * weights.rows;
  for (std::int64_t k = blockIdx.x; k < patches; k += gridDim.x) {
    const std::int64_t r = k / patches_per_row * patch_rows + threadIdx.y;
    if (r >= all_rows) continue;
    const std::int64_t b = r / weights.rows, i = r % weights.rows, first = k % patches_per_row * patch_cols;
    const T* from = weights.data + b * weights.batch_stride + i * weights.row_stride;
    const std::uint8_t* kept = mask.data + b * mask.batch_stride + i * mask.row_stride;
    T* to = pruned.data + b * pruned.batch_stride + i * pruned.row_stride;
#pragma unroll
    for (int q = 0; q < loads_in_flight; ++q) {
      const std::int64_t j = first + 32 * q + threadIdx.x;
      if (j < weights.cols) to[j] = kept[j] != 0 ? from[j] : T{};  // T{}: all bits 0, so +0.0
    }
  }
}

template <class T>
status launch_apply_mask(const matrix_view<const T>& weights, const matrix_view<const std::uint8_t>& mask,
                         const matrix_view<T>& pruned, cudaStream_t stream) {
  if (const status s = pending_error(); !s) return s;
  const std::int64_t all_rows = weights.batch * weights.rows;
  if (all_rows == 0 || weights.cols == 0) return {};
  const stream_device on_device(stream);
  if (!on_device.outcome()) return on_device.outcome();

  constexpr std::int64_t most_blocks = 1 << 20;  // a block then takes several patches
  const std::int64_t patches_per_row = (weights.cols + patch_cols - 1) / patch_cols;
  const std::int64_t patches = (all_rows + patch_rows - 1) / patch_rows * patches_per_row;
  const auto blocks = static_cast<unsigned>(patches < most_blocks ? patches : most_blocks);
  apply_mask_kernel<T><<<blocks, dim3(32, patch_rows), 0, stream>>>(weights, mask, pruned, patches, patches_per_row);
  return launch_status();
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// Writes `pruned = mask ? weight : +0.0`, on the GPU.
///
/// \param weights `[batch, rows, cols]` in device memory, of any weight type, CUDA's own included; kept ones are copied
///                bit for bit, NaN included
/// \param mask    bytes of the same shape in device memory; any value but 0 means "kept"
/// \param pruned  the same shape; either disjoint from the weights or the very same pointer with the same strides
///                (pruning in place). Padding between rows is not written.
/// \param stream  the stream to run on, on its own device
/// \return an error, with nothing enqueued, for bad sizes or strides, shapes that differ, null or misaligned pointers,
///         overlapping buffers, and for an error that was pending on the device before the call (it stays pending).
///         Empty matrices succeed; their pointers may be null.
///
/// Stream-ordered: one launch; no allocation, no synchronisation; a CUDA graph can capture it. The buffers have to
/// live until the stream has done the work. Deterministic. Cost: one pass.
///
/// \code
/// const tsenor::matrix_view view{weights, rows, cols};
/// const tsenor::status s = tsenor::apply_mask(view, {mask, rows, cols}, view, stream);  // in place
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <class T>
status apply_mask(matrix_view<T> weights, matrix_view<const std::uint8_t> mask,
                  matrix_view<std::remove_const_t<T>> pruned, cudaStream_t stream = nullptr) {
  const auto from = detail::read_only(weights);
  if (const status s = detail::check_apply_arguments(from, mask, pruned); !s) return s;
  return detail::launch_apply_mask(from, mask, pruned, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor
