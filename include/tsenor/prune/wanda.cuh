/// \file
/// Wanda on the GPU.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tsenor/prune/detail/dead_inputs.cuh"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/gram_entry.hpp"
#include "tsenor/prune/detail/support.cuh"
#include "tsenor/prune/wanda.hpp"

namespace tsenor::prune {
namespace detail {
inline namespace TSENOR_ABI {

struct input_norm {
  const float* gram;
  float* norms;
  std::int64_t inputs;
  __device__ void operator()(std::int64_t, std::int64_t j) const {
    const float square = gram[j * inputs + j];
    norms[j] = is_live(square) ? sqrtf(square) : 0.f;  // 0 is for rank_dead_inputs
  }
};

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// Wanda (arXiv 2306.11695): keeps the weights with the largest |W_ij| ||X_j||_2. Kept weights stay as they were.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \tparam T       float, double, __half, __nv_bfloat16, or another type that find_mask takes
/// \param nm       the pattern N:M
/// \param weights  `[rows, cols]` in device memory, one row for each output, one column for each input of the layer;
///                 batch = 1
/// \param gram     `[cols, cols]` dense in device memory: the sum of x x^T over the layer's inputs x, see
///                 accumulate_gram. Only its diagonal is read. An input whose entry is not a positive number (no
///                 activation, NaN, infinity) is dead: its weights rank by magnitude, below all others
/// \param norms    `[cols]` in device memory, written: the norms ||X_j||_2; for a dead input -2^-14 times the smallest
///                 of them, or -1 if all are dead. So the negative norms mark the dead inputs. The only workspace,
///                 disjoint from everything else
/// \param out      where to write, device memory; see outputs
/// \param rule     the structure and the options of its search
/// \param stream   the stream to run on; the buffers have to live until it has done the work
/// \return success, or an error, and then nothing is enqueued: the errors of find_mask, and invalid_pointer for
///         an argument that is missing
///
/// Three launches; no allocation, no synchronisation; a CUDA graph can capture it. Deterministic. Cost: that of
/// find_mask; row-wise, M comparisons for each weight.
template <class Pattern, class T>
status wanda(Pattern nm, matrix_view<T> weights, const float* gram, float* norms, outputs<std::remove_const_t<T>> out,
             const sparsity& rule = {}, cudaStream_t stream = nullptr) {
  const auto from = tsenor::detail::read_only(weights);
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (const status s = detail::check_layer(nm, rule, from, out); !s) return s;
  if (from.rows == 0 || from.cols == 0) return {};
  if (const status s = detail::check_norms(from, gram, norms, out); !s) return s;
  const tsenor::detail::stream_device on_device(stream);
  if (!on_device.outcome()) return on_device.outcome();
  if (const status s = detail::for_each_element(1, from.cols, detail::input_norm{gram, norms, from.cols}, stream); !s)
    return s;
  if (const status s = detail::for_each_row(1, detail::rank_dead_inputs{norms, false, from.cols}, stream); !s) return s;
  return detail::prune_by_saliency(nm, rule, from, out, detail::saliency{norms, false, norms}, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
