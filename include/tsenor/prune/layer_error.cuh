/// \file
/// The error of a pruned layer's outputs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tsenor/prune/detail/check_layer.hpp"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/libraries.cuh"
#include "tsenor/prune/detail/workspace.cuh"

namespace tsenor::prune {

/// The result of layer_error, for weights W, pruned to V, on inputs with gram matrix G.
struct layer_error_sums {
  double error;  ///< tr((V - W) G (V - W)^T), the squared error of the outputs
  double norm;   ///< tr(W G W^T), the square of the outputs; error / norm is the relative error
};

namespace detail {
inline namespace TSENOR_ABI {

inline constexpr std::int64_t error_rows = 512;  // rows that are multiplied at a time

struct error_pieces {
  float *difference, *product;
  double* of_row;
  error_pieces(pieces& from, std::int64_t rows, std::int64_t cols)
      : difference(from.take<float>(std::min(rows, error_rows) * cols)),
        product(from.take<float>(std::min(rows, error_rows) * cols)),
        of_row(from.take<double>(2 * rows)) {}
};

struct subtract {
  const float *a, *b;  // b may be null: 0
  std::int64_t a_stride, b_stride;
  float* to;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    to[i * cols + j] = a[i * a_stride + j] - (b != nullptr ? b[i * b_stride + j] : 0.f);
  }
};

struct dots_of_rows {
  const float *a, *b;
  std::int64_t cols;
  double* to;
  __device__ void operator()(std::int64_t i) const {
    const double dot = row_dot(a + i * cols, b + i * cols, cols);
    if (threadIdx.x == 0) to[i] = dot;
  }
};

// The two sums over rows, by one block.
struct sum_of_rows {
  const double* of_row;
  std::int64_t rows;
  layer_error_sums* result;
  __device__ void operator()(std::int64_t) const {
    double error = 0, norm = 0;
    for (std::int64_t i = threadIdx.x; i < rows; i += row_threads) {
      error += of_row[i];
      norm += of_row[rows + i];
    }
    error = block_sum(error);
    norm = block_sum(norm);
    if (threadIdx.x == 0) *result = {error, norm};
  }
};

// to[i] = d_i G d_i^T, with d the rows of a - b.
inline status quadratic_forms(const handles& on, std::int64_t rows, std::int64_t cols, operand a, operand b,
                              const float* gram, const error_pieces& m, double* to) {
  for (std::int64_t top = 0; top < rows; top += error_rows) {
    const std::int64_t height = std::min(error_rows, rows - top);
    const subtract difference{a.data + top * a.stride,
                              b.data != nullptr ? b.data + top * b.stride : nullptr,
                              a.stride,
                              b.stride,
                              m.difference,
                              cols};
    status s = for_each_element(height, cols, difference, on.stream);
    if (s) s = multiply(on, height, cols, cols, 1, {m.difference, cols}, {gram, cols}, 0, m.product, cols);
    if (s) s = for_each_row(height, dots_of_rows{m.difference, m.product, cols, to + top}, on.stream);
    if (!s) return s;
  }
  return {};
}

inline status check_error_buffers(const matrix_view<const float>& weights, const matrix_view<const float>& pruned,
                                  const float* gram, const layer_error_sums* result, const workspace& memory,
                                  std::size_t needed) {
  return check_apart(
      {{tsenor::detail::bytes_of(weights), false, ""},
       {tsenor::detail::bytes_of(pruned), false, ""},
       read_buffer(gram, weights.cols * weights.cols, ""),
       written_buffer(result, 1, "layer_error: result shares memory with weights or gram: give it its own buffer"),
       scratch_buffer(
           memory, needed,
           "layer_error: the workspace shares memory with weights, gram or result: give it its own buffer")});
}

inline status enqueue_layer_error(const handles& on, matrix_view<const float> w, matrix_view<const float> pruned,
                                  const float* gram, const error_pieces& m, layer_error_sums* result) {
  status s =
      quadratic_forms(on, w.rows, w.cols, {pruned.data, pruned.row_stride}, {w.data, w.row_stride}, gram, m, m.of_row);
  if (s) s = quadratic_forms(on, w.rows, w.cols, {w.data, w.row_stride}, {nullptr, 0}, gram, m, m.of_row + w.rows);
  if (s) s = for_each_row(1, sum_of_rows{m.of_row, w.rows, result}, on.stream);
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// The bytes of workspace that layer_error takes.
inline std::size_t layer_error_workspace(std::int64_t rows, std::int64_t cols) {
  detail::pieces from;
  static_cast<void>(detail::error_pieces(from, rows, cols));
  return from.used();
}

/// Computes the squared error of a pruned layer's outputs, and their square, over the inputs that `gram` sums up.
///
/// \param on      blas and stream
/// \param weights W `[rows, cols]`, device memory, batch = 1
/// \param pruned  V of the same shape
/// \param gram    G `[cols, cols]` dense and symmetric: undamped, as accumulate_gram leaves it
/// \param memory  layer_error_workspace(rows, cols) bytes
/// \param result  one struct in device memory, disjoint from everything else. What is only read may share memory:
///                `pruned` may be the weights
/// \return success, or an error, and then nothing is enqueued: invalid_shape, invalid_pointer, overlapping_buffers,
///         invalid_option for a handle of another stream, no_device, device_error
///
/// Products in fp32, sums in double. Without elements both sums are 0; NaN in weights or gram gives NaN. No allocation,
/// no synchronisation. Deterministic where cuBLAS is. Cost: 2 rows * cols^2 multiply-adds.
inline status layer_error(const handles& on, matrix_view<const float> weights, matrix_view<const float> pruned,
                          const float* gram, workspace memory, layer_error_sums* result) {
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  for (const matrix_view<const float>& w : {weights, pruned}) {
    if (const status s =
            tsenor::detail::check_view(w.data, sizeof(float), alignof(float), w.rows, w.cols, w.row_stride, w.batch,
                                       w.batch_stride, "layer_error: weights or pruned weights are null or misaligned");
        !s)
      return s;
    if (const status s = detail::check_one_matrix(w.rows, w.cols, w.row_stride, w.batch); !s) return s;
  }
  if (const status s =
          tsenor::detail::check_same_shape(pruned.rows, pruned.cols, 1, weights.rows, weights.cols, 1,
                                           "layer_error: weights and pruned weights must have the same shape");
      !s)
    return s;
  if (const status s = detail::check_array(result, 1, "layer_error: result is null or misaligned"); !s) return s;
  if (const status s = detail::check_array(gram, weights.cols, "layer_error: gram is null or misaligned"); !s) return s;
  const std::size_t needed = layer_error_workspace(weights.rows, weights.cols);
  if (const status s = detail::check_workspace(memory, needed); !s) return s;
  if (const status s = detail::check_error_buffers(weights, pruned, gram, result, memory, needed); !s) return s;
  if (const status s = detail::check_handles(on, false); !s) return s;
  const detail::blas_settings settings(on.blas);
  if (!settings.outcome()) return settings.outcome();
  detail::pieces from(memory.data);
  const detail::error_pieces m(from, weights.rows, weights.cols);
  return detail::enqueue_layer_error(on, weights, pruned, gram, m, result);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
