// The checks that all pruners share.
#pragma once

#include <cstdint>
#include <limits>

#include "tsenor/apply_mask.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/prune/outputs.hpp"
#include "tsenor/prune/sparsity.hpp"
#include "tsenor/status.hpp"

namespace tsenor::prune::detail {

inline status check_sparsity(pattern nm, const sparsity& rule, std::int64_t rows, std::int64_t cols) {
  if (const status s = tsenor::detail::check_pattern(nm); !s) return s;
  tsenor::options search = rule.search;
  search.start = start::cold;  // the pruners set it themselves
  if (const status s = tsenor::detail::check_options(search); !s) return s;
  switch (rule.structure) {
    case structure::transposable:
    case structure::row_then_column:
      return tsenor::detail::check_divisible(rows, cols, nm.m, rule.search.edge);
    case structure::row_wise:
      return tsenor::detail::check_divisible(0, cols, nm.m, rule.search.edge);
  }
  return {status_code::invalid_option, "unknown sparsity::structure", int(rule.structure)};
}

// One matrix whose sides the libraries' 32-bit sizes can count.
inline status check_one_matrix(std::int64_t rows, std::int64_t cols, std::int64_t row_stride, std::int64_t batch) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (rows < 0 || cols < 0)
    return {status_code::invalid_shape, "rows and cols must not be negative", rows < 0 ? rows : cols, 0};
  if (batch != 1) return {status_code::invalid_shape, "a pruner takes one matrix at a time: batch must be 1", batch, 1};
  if (rows > most || cols > most || row_stride > most)
    return {status_code::invalid_shape, "rows, cols and row_stride must fit into 32 bits",
            rows > most   ? rows
            : cols > most ? cols
                          : row_stride,
            most};
  return {};
}

// Everything about weights and outputs; completes the outputs' strides.
template <class T>
status check_layer(pattern nm, const sparsity& rule, const matrix_view<const T>& w, outputs<T>& out) {
  namespace common = tsenor::detail;
  if (const status s =
          common::check_view(w.data, sizeof(T), alignof(T), w.rows, w.cols, w.row_stride, w.batch, w.batch_stride,
                             "the weights are null or not aligned to their type: give a pointer to them");
      !s)
    return s;
  if (const status s = check_one_matrix(w.rows, w.cols, w.row_stride, w.batch); !s) return s;
  if (const status s = check_sparsity(nm, rule, w.rows, w.cols); !s) return s;
  if (w.rows == 0 || w.cols == 0) return {};
  if (out.pruned.data == nullptr || out.mask.data == nullptr)
    return {status_code::invalid_pointer, "outputs::pruned and outputs::mask are both needed: give each a buffer"};
  common::byte_range pruned, mask;
  if (const status s = common::resolve(out.pruned, sizeof(T), w.rows, w.cols, 1,
                                       "outputs::pruned is not aligned to its element type", pruned);
      !s)
    return s;
  if (const status s = common::resolve(out.mask, 1, w.rows, w.cols, 1, "", mask); !s) return s;
  const auto input = common::bytes_of(w.data, sizeof(T), common::extent(w.rows, w.cols, w.row_stride, 1, 0));
  const bool in_place = out.pruned.data == w.data && out.pruned.row_stride == w.row_stride;
  if (common::overlap(mask, input) || common::overlap(mask, pruned) || (common::overlap(pruned, input) && !in_place))
    return {status_code::overlapping_buffers,
            "weights, mask and pruned weights share memory: only `pruned` may be the weights, with the same stride"};
  return check_one_matrix(w.rows, w.cols, out.pruned.row_stride, 1);
}

// A dense [count] array that must be there.
template <class T>
status check_array(const T* data, std::int64_t count, const char* missing) {
  return count > 0 ? tsenor::detail::check_pointer(data, alignof(T), missing) : status{};
}

// What Wanda reads and writes beside the weights, once check_layer() has completed the strides of `out`.
template <class T>
status check_norms(const matrix_view<const T>& weights, const float* gram, const float* norms, const outputs<T>& out) {
  namespace common = tsenor::detail;
  const std::int64_t rows = weights.rows, cols = weights.cols;
  if (const status s = check_array(gram, cols, "wanda: gram is null or misaligned"); !s) return s;
  if (const status s = check_array(norms, cols, "wanda: norms is null or misaligned"); !s) return s;
  const common::byte_range read = common::bytes_of(gram, sizeof(float), cols * cols),
                           written = common::bytes_of(norms, sizeof(float), cols),
                           others[] = {
                               common::bytes_of(weights),
                               common::bytes_of(matrix_view(out.pruned.data, rows, cols, out.pruned.row_stride)),
                               common::bytes_of(matrix_view(out.mask.data, rows, cols, out.mask.row_stride))};
  for (const common::byte_range& other : others)
    if (common::overlap(written, other))
      return {status_code::overlapping_buffers, "wanda: norms share memory with the weights or with an output"};
  if (common::overlap(written, read) || common::overlap(others[1], read) || common::overlap(others[2], read))
    return {status_code::overlapping_buffers, "wanda: gram shares memory with norms or with an output"};
  return {};
}

}  // namespace tsenor::prune::detail
