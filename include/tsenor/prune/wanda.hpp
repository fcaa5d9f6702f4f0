/// \file
/// Wanda on the CPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "tsenor/apply_mask.hpp"
#include "tsenor/prune/detail/gram_entry.hpp"
#include "tsenor/prune/detail/support_cpu.hpp"

namespace tsenor::prune {
namespace detail {

inline void write_norms(const float* gram, std::int64_t inputs, float* norms) {
  float smallest = no_factor;
  for (std::int64_t j = 0; j < inputs; ++j) {
    const float square = gram[j * inputs + j];
    norms[j] = is_live(square) ? std::sqrt(square) : 0.f;
    if (norms[j] > 0) smallest = std::min(smallest, norms[j]);
  }
  const float of_dead = factor_of_dead(smallest, false);
  for (std::int64_t j = 0; j < inputs; ++j)
    if (!(norms[j] > 0)) norms[j] = of_dead;
}

}  // namespace detail

/// Wanda (arXiv 2306.11695): keeps the weights with the largest |W_ij| ||X_j||_2. Kept weights stay as they were.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \tparam T       float, double, or a type of weight_types.hpp
/// \param cpu      the threads to use; the result does not depend on them
/// \param nm       the pattern N:M
/// \param weights  `[rows, cols]`, one row for each output, one column for each input of the layer; batch = 1
/// \param gram     `[cols, cols]` dense: the sum of x x^T over the layer's inputs x. Only its diagonal is read. An
///                 input whose entry is not a positive number (no activation, NaN, infinity) is dead: its weights
///                 rank by magnitude, below all others
/// \param norms    `[cols]`, written: the norms ||X_j||_2; for a dead input -2^-14 times the smallest of them, or -1 if
///                 all are dead. So the negative norms mark the dead inputs. Disjoint from everything else
/// \param out      where to write; see outputs
/// \param rule     the structure and the options of its search
/// \return success, or an error, and then nothing has been written: the errors of find_mask, and invalid_pointer
///         for an argument that is missing or misaligned. A matrix without elements succeeds, and norms are not written
///
/// Returns when the work is done. Deterministic. Cost: that of find_mask; row-wise, M comparisons for each weight.
template <class Pattern, class T>
status wanda(cpu_executor cpu, Pattern nm, matrix_view<T> weights, const float* gram, float* norms,
             outputs<std::remove_const_t<T>> out, const sparsity& rule = {}) {
  if (const status s = tsenor::detail::check_threads(cpu.threads); !s) return s;
  const auto from = tsenor::detail::read_only(weights);
  if (const status s = detail::check_layer(nm, rule, from, out); !s) return s;
  if (from.rows == 0 || from.cols == 0) return {};
  if (const status s = detail::check_norms(from, gram, norms, out); !s) return s;
  detail::write_norms(gram, from.cols, norms);
  return detail::prune_by_saliency(cpu, nm, rule, from, out, detail::saliency{norms, false, norms});
}

}  // namespace tsenor::prune
