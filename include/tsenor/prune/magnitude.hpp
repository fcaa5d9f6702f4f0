/// \file
/// Magnitude pruning on the CPU.
#pragma once

#include <type_traits>

#include "tsenor/apply_mask.hpp"
#include "tsenor/prune/detail/support_cpu.hpp"

namespace tsenor::prune {

/// Keeps the largest weights. Of the masks with the structure it takes the one with the largest sum of |w|. Kept
/// weights stay as they were.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \tparam T       float, double, or a type of weight_types.hpp
/// \param cpu      the threads to use; the result does not depend on them
/// \param nm       the pattern N:M
/// \param weights  `[rows, cols]`, batch = 1. NaN has magnitude 0, infinity the largest finite one. If the structure
///                 has to keep such a weight, it stays as it is
/// \param out      where to write; see outputs
/// \param rule     the structure and the options of its search
/// \return success, or an error, and then nothing has been written: the errors of find_mask, and invalid_pointer
///         for an output that is missing
///
/// Returns when the work is done. Deterministic. Cost: that of find_mask; row-wise, M comparisons for each weight.
template <class Pattern, class T>
status magnitude(cpu_executor cpu, Pattern nm, matrix_view<T> weights, outputs<std::remove_const_t<T>> out,
                 const sparsity& rule = {}) {
  if (const status s = tsenor::detail::check_threads(cpu.threads); !s) return s;
  const auto from = tsenor::detail::read_only(weights);
  if (const status s = detail::check_layer(nm, rule, from, out); !s) return s;
  return detail::prune_by_saliency(cpu, nm, rule, from, out, detail::saliency{});
}

}  // namespace tsenor::prune
