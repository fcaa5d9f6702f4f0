/// \file
/// The gram matrix of a layer's inputs, batch after batch.
#pragma once

#include <cstdint>

#include "tsenor/prune/detail/check_layer.hpp"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/libraries.cuh"

namespace tsenor::prune {
inline namespace TSENOR_ABI {

/// Adds X^T X to gram, or sets gram = X^T X for the first batch.
///
/// \param on      blas and stream
/// \param inputs  X `[tokens, in]` in device memory, float, batch = 1; tokens may be 0
/// \param gram    `[in, in]` dense in device memory; symmetric, to the bit, afterwards
/// \param first   true: replace what `gram` holds, without reading it; false: add to it
/// \return success, or an error, and then nothing is enqueued: invalid_shape, invalid_pointer,
///         overlapping_buffers, invalid_option for a handle of another stream, no_device, device_error
///
/// Computes in fp32; TF32 is off whatever the handle is set to. NaN and infinity spread to their input's row and
/// column, and the pruners treat that input as dead. No allocation, no synchronisation. Deterministic where cuBLAS is.
/// Cost: tokens * in^2 multiply-adds.
inline status accumulate_gram(const handles& on, matrix_view<const float> inputs, float* gram, bool first) {
  const std::int64_t n = inputs.cols;
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (const status s = tsenor::detail::check_view(inputs.data, sizeof(float), alignof(float), inputs.rows, n,
                                                  inputs.row_stride, inputs.batch, inputs.batch_stride,
                                                  "accumulate_gram: the inputs are null or misaligned");
      !s)
    return s;
  if (const status s = detail::check_one_matrix(inputs.rows, n, inputs.row_stride, inputs.batch); !s) return s;
  if (const status s = detail::check_array(gram, n, "accumulate_gram: gram is null or misaligned"); !s) return s;
  if (tsenor::detail::buffers_overlap(inputs.data, sizeof(float),
                                      tsenor::detail::extent(inputs.rows, n, inputs.row_stride, 1, 0), gram,
                                      sizeof(float), n * n))
    return {status_code::overlapping_buffers, "accumulate_gram: gram shares memory with the inputs"};
  if (n == 0) return {};
  if (const status s = detail::check_handles(on, false); !s) return s;
  const detail::blas_settings settings(on.blas);
  if (!settings.outcome()) return settings.outcome();
  const float one = 1, before = first ? 0 : 1;
  // By columns, X is [in, tokens], and the lower triangle is the upper one of the row-major matrix.
  if (const status s = detail::blas_status(
          cublasSsyrk(on.blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, int(n), int(inputs.rows), &one, inputs.data,
                      int(inputs.rows > 0 ? inputs.row_stride : n), &before, gram, int(n)));
      !s)
    return s;
  return detail::for_each_element(n, n, detail::mirror_upper{gram, n}, on.stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
