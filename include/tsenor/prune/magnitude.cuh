/// \file
/// Magnitude pruning on the GPU.
#pragma once

#include <type_traits>

#include "tsenor/apply_mask.hpp"
#include "tsenor/prune/detail/support.cuh"
#include "tsenor/prune/magnitude.hpp"

namespace tsenor::prune {
inline namespace TSENOR_ABI {

/// Keeps the largest weights. Of the masks with the structure it takes the one with the largest sum of |w|. Kept
/// weights stay as they were.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \tparam T       float, double, __half, __nv_bfloat16, or another type that find_mask takes
/// \param nm       the pattern N:M
/// \param weights  `[rows, cols]` in device memory, batch = 1. NaN has magnitude 0, infinity the largest finite one.
///                 If the structure has to keep such a weight, it stays as it is
/// \param out      where to write, device memory; see outputs
/// \param rule     the structure and the options of its search
/// \param stream   the stream to run on; the buffers have to live until it has done the work
/// \return success, or an error, and then nothing is enqueued: the errors of find_mask, and invalid_pointer for
///         an output that is missing
///
/// One launch; no allocation, no synchronisation, no workspace; a CUDA graph can capture it. Deterministic. Cost:
/// that of find_mask; row-wise, M comparisons for each weight.
template <class Pattern, class T>
status magnitude(Pattern nm, matrix_view<T> weights, outputs<std::remove_const_t<T>> out, const sparsity& rule = {},
                 cudaStream_t stream = nullptr) {
  const auto from = tsenor::detail::read_only(weights);
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (const status s = detail::check_layer(nm, rule, from, out); !s) return s;
  if (from.rows == 0 || from.cols == 0) return {};
  const tsenor::detail::stream_device on_device(stream);
  if (!on_device.outcome()) return on_device.outcome();
  return detail::prune_by_saliency(nm, rule, from, out, detail::saliency{}, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
