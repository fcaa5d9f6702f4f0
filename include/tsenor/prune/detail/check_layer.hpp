// The checks that all pruners share.
#pragma once

#include <cstdint>
#include <initializer_list>
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

// A buffer that a call takes, and what to say where it shares memory with one named before it.
struct used_buffer {
  tsenor::detail::byte_range bytes;
  bool written;
  const char* shared;
};

// `count` elements; none where there is no buffer.
template <class T>
used_buffer read_buffer(const T* data, std::int64_t count, const char* shared) {
  return {tsenor::detail::bytes_of(data, sizeof(T), data == nullptr ? 0 : count), false, shared};
}
template <class T>
used_buffer written_buffer(const T* data, std::int64_t count, const char* shared) {
  return {tsenor::detail::bytes_of(data, sizeof(T), data == nullptr ? 0 : count), true, shared};
}

// No buffer that is written shares memory with another one.
inline status check_apart(std::initializer_list<used_buffer> buffers) {
  for (const used_buffer* b = buffers.begin(); b != buffers.end(); ++b)
    for (const used_buffer* a = buffers.begin(); a != b; ++a)
      if ((a->written || b->written) && tsenor::detail::overlap(a->bytes, b->bytes))
        return {status_code::overlapping_buffers, b->shared};
  return {};
}

// The buffers of a layer whose outputs have their strides. In place, `pruned` alone stands for its weights too.
template <class T>
struct layer_buffers {
  static constexpr const char* shared =
      "weights, mask and pruned weights share memory: only `pruned` may be the weights, with the same stride";
  used_buffer weights, pruned, mask;

  layer_buffers(const matrix_view<const T>& w, const outputs<T>& out) {
    namespace common = tsenor::detail;
    const bool in_place = out.pruned.data == w.data && out.pruned.row_stride == w.row_stride;
    weights = {in_place ? common::byte_range{} : common::bytes_of(w), false, shared};
    pruned = {common::bytes_of(matrix_view(out.pruned.data, w.rows, w.cols, out.pruned.row_stride)), true, shared};
    mask = {common::bytes_of(matrix_view(out.mask.data, w.rows, w.cols, out.mask.row_stride)), true, shared};
  }
};

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
  common::byte_range bytes;
  if (const status s = common::resolve(out.pruned, sizeof(T), w.rows, w.cols, 1,
                                       "outputs::pruned is not aligned to its element type", bytes);
      !s)
    return s;
  if (const status s = common::resolve(out.mask, 1, w.rows, w.cols, 1, "", bytes); !s) return s;
  const layer_buffers<T> layer(w, out);
  if (const status s = check_apart({layer.weights, layer.pruned, layer.mask}); !s) return s;
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
  const std::int64_t cols = weights.cols;
  if (const status s = check_array(gram, cols, "wanda: gram is null or misaligned"); !s) return s;
  if (const status s = check_array(norms, cols, "wanda: norms is null or misaligned"); !s) return s;
  const layer_buffers<T> layer(weights, out);
  return check_apart(
      {layer.weights, layer.pruned, layer.mask,
       read_buffer(gram, cols * cols, "wanda: gram shares memory with an output: give it its own buffer"),
       written_buffer(norms, cols,
                      "wanda: norms share memory with the weights, gram or an output: give them their own buffer")});
}

}  // namespace tsenor::prune::detail
