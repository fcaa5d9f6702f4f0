/// \file
/// SparseGPT on the GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tsenor/prune/detail/inverse_factor.cuh"
#include "tsenor/prune/detail/panel.cuh"
#include "tsenor/prune/detail/support.cuh"
#include "tsenor/prune/handles.cuh"
#include "tsenor/prune/outputs.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tsenor::prune {

/// Options of sparsegpt; an option outside its range gives invalid_option.
struct sparsegpt_options {
  sparsity rule;
  /// Number added to the Hessian's diagonal, as a fraction of its mean, 1e-6 to 1e6.
  double damping = 0.01;
  /// Number of columns updated at a time, 1 to 12288 / M; rounded down to a multiple of M, at least M.
  int block = 128;
  /// Number of tokens that the gram matrix sums over, at least 1. It only decides how much the diagonal 1 of a dead
  /// input counts in the mean of the diagonal, on which the damping depends.
  std::int64_t tokens = 1;
};

/// What sparsegpt reports.
struct sparsegpt_report {
  std::int32_t dead_inputs;  ///< inputs without activations, or with NaN or infinite ones
  /// Whether the damped Hessian had no Cholesky factor, because it is not a gram matrix or the damping is too small.
  /// Then only its diagonal was used.
  std::int32_t diagonal_only;
};

namespace detail {
inline namespace TSENOR_ABI {

struct sparsegpt_call {
  matrix_view<const float> weights;
  const float* gram;
  outputs<float> out;
  sparsegpt_report* report;
  sparsegpt_options options;
  std::int64_t block;
};

struct sparsegpt_pieces {
  factor_pieces hessian;
  float* errors;
  sparsegpt_pieces(pieces& from, std::int64_t rows, std::int64_t cols, std::int64_t block, int scratch_count)
      : hessian(from, cols, scratch_count), errors(from.take<float>(rows * block)) {}
};

struct write_sparsegpt_report {
  const std::int32_t *dead, *info;
  sparsegpt_report* to;
  __device__ void operator()(std::int64_t, std::int64_t) const { *to = {*dead, *info != 0}; }
};

inline std::int64_t block_columns(int block, int m) { return std::max(block / m * m, m); }

inline status check_sparsegpt_options(const sparsegpt_options& o, pattern nm) {
  if (!(o.damping >= 1e-6 && o.damping <= 1e6))
    return {status_code::invalid_option, "sparsegpt_options::damping must be 1e-6 to 1e6"};
  if (o.block < 1 || o.block > panel_floats / nm.m)
    return {status_code::invalid_option, "sparsegpt_options::block must be 1 to 12288 / M", o.block,
            panel_floats / nm.m};
  if (o.tokens < 1) return {status_code::invalid_option, "sparsegpt_options::tokens must be at least 1", o.tokens, 1};
  return {};
}

inline status check_sparsegpt_buffers(const sparsegpt_call& c, const workspace& memory, std::size_t needed) {
  const std::int64_t n = c.weights.cols;
  const layer_buffers<float> layer(c.weights, c.out);
  return check_apart(
      {layer.weights, layer.pruned, layer.mask,
       read_buffer(c.gram, n * n, "sparsegpt: gram shares memory with an output: give it its own buffer"),
       written_buffer(
           c.report, 1,
           "sparsegpt: the report shares memory with the weights, gram or an output: give it its own buffer"),
       scratch_buffer(memory, needed,
                      "sparsegpt: the workspace shares memory with the weights, gram, an output or the report: give it "
                      "its own buffer")});
}

// The mask of one panel from the weights as they are now, and its errors passed on within the block.
template <class Pattern>
status prune_panel(const handles& on, Pattern nm, const sparsegpt_call& c, const sparsegpt_pieces& m, std::int64_t left,
                   std::int64_t first, std::int64_t right) {
  const std::int64_t rows = c.weights.rows, n = c.weights.cols, stride = c.out.pruned.row_stride;
  const auto width = std::min<std::int64_t>(pattern(nm).m, right - first);
  float* const weights = c.out.pruned.data + first;
  std::uint8_t* const mask = c.out.mask.data + first;
  const float* const inverse_diagonal = m.hessian.inverse_diagonal + first;
  mask_outputs<float> found;
  found.mask = {mask, c.out.mask.row_stride};
  // The rows' masks write pruned weights too: into the place of the errors, which are not there yet.
  found.pruned = {m.errors + (first - left), c.block};
  status s = find_support(nm, c.options.rule, matrix_view<const float>(weights, rows, width, stride), found,
                          saliency{inverse_diagonal, true, inverse_diagonal}, on.stream);
  if (!s) return s;
  return launch_panel({weights, stride, mask, c.out.mask.row_stride, m.hessian.factor + first * n + first, n,
                       inverse_diagonal, m.errors + (first - left), c.block, rows, int(width), int(right - first)},
                      on.stream);
}

// Block by block, and after each the lazy update of all columns to its right.
template <class Pattern>
status prune_blocks(const handles& on, Pattern nm, const sparsegpt_call& c, const sparsegpt_pieces& m) {
  const std::int64_t rows = c.weights.rows, n = c.weights.cols, stride = c.out.pruned.row_stride;
  for (std::int64_t left = 0; left < n; left += c.block) {
    const std::int64_t right = std::min(left + c.block, n);
    for (std::int64_t first = left; first < right; first += pattern(nm).m)
      if (const status s = prune_panel(on, nm, c, m, left, first, right); !s) return s;
    if (right == n) break;
    const status s = multiply(on, rows, right - left, n - right, -1, {m.errors, c.block},
                              {m.hessian.factor + left * n + right, n}, 1, c.out.pruned.data + right, stride);
    if (!s) return s;
  }
  return {};
}

template <class Pattern>
status enqueue_sparsegpt(const handles& on, Pattern nm, const sparsegpt_call& c, const sparsegpt_pieces& m,
                         int scratch_count) {
  const std::int64_t rows = c.weights.rows, n = c.weights.cols;
  const damped_gram h{c.gram, n, float(2.0 / double(c.options.tokens)), 1, m.hessian.damping};
  status s = make_inverse_factor(on, h, c.options.damping, m.hessian, scratch_count);
  if (s)
    s = for_each_element(
        rows, n,
        copy_weights{c.weights.data, c.weights.row_stride, c.out.pruned.data, c.out.pruned.row_stride, nullptr},
        on.stream);
  if (s) s = prune_blocks(on, nm, c, m);
  if (s && c.report != nullptr)
    s = for_each_element(1, 1, write_sparsegpt_report{m.hessian.dead, m.hessian.info, c.report}, on.stream);
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// The bytes of workspace that sparsegpt takes for weights `[rows, cols]`: about 8 cols^2 + 4 rows * block.
///
/// \param on    needs the solver
/// \param bytes on the host, written on success
inline status sparsegpt_workspace(const handles& on, pattern nm, std::int64_t rows, std::int64_t cols,
                                  const sparsegpt_options& options, std::size_t* bytes) {
  if (const status s = tsenor::detail::check_pattern(nm); !s) return s;
  if (const status s = detail::check_sparsegpt_options(options, nm); !s) return s;
  if (const status s = detail::check_one_matrix(rows, cols, cols, 1); !s) return s;
  if (const status s = detail::check_handles(on, true); !s) return s;
  int scratch = 0;
  if (cols > 0)
    if (const status s = detail::factor_scratch(on, cols, &scratch); !s) return s;
  detail::pieces from;
  static_cast<void>(detail::sparsegpt_pieces(from, rows, cols, detail::block_columns(options.block, nm.m), scratch));
  *bytes = from.used();
  return {};
}

/// SparseGPT (arXiv 2301.00774): from left to right, panels of M columns get their mask from the importance W^2 /
/// U_jj^2, and the columns to the right make up for the pruned weights. U is the upper Cholesky factor of the inverse
/// of H = 2 gram / tokens + damping mean(diag H) I, with U^T U = H^-1.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \param on      blas, solver and stream
/// \param nm      the pattern N:M; a mask's tiles are M rows of a panel
/// \param weights `[rows, cols]` float in device memory, one row for each output, one column for each input; batch = 1.
///                NaN and infinity count as 0
/// \param gram    `[cols, cols]` dense and symmetric in device memory, see accumulate_gram. It may be singular (fewer
///                tokens than inputs): the damping allows that. An input whose diagonal entry is not a positive
///                number is dead: H_jj is 1, and it does not affect other inputs. Its weights rank by magnitude,
///                below all others; kept ones stay as they are
/// \param out     where to write, device memory; kept weights are updated. `pruned` may be the weights (in place)
/// \param memory  what sparsegpt_workspace says
/// \param options see there
/// \param report  one struct in device memory, or null; disjoint from everything else
/// \return success, or an error: the errors of find_mask, invalid_pointer for an argument that is missing or a
///         workspace that is too small, invalid_option, device_error; unless it is the last, nothing is enqueued
///
/// No allocation, no synchronisation of its own (cuSOLVER may have some). Products are in fp32; TF32 is off whatever
/// the handle is set to. Deterministic where cuBLAS and cuSOLVER are. Cost: cols^3 / 3 + cols^3 + rows * cols^2 / 2
/// multiply-adds, and 2 cols / M launches.
template <class Pattern>
status sparsegpt(const handles& on, Pattern nm, matrix_view<const float> weights, const float* gram, outputs<float> out,
                 workspace memory, const sparsegpt_options& options = {}, sparsegpt_report* report = nullptr) {
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (const status s = detail::check_layer(nm, options.rule, weights, out); !s) return s;
  std::size_t needed = 0;
  if (const status s = sparsegpt_workspace(on, nm, weights.rows, weights.cols, options, &needed); !s) return s;
  if (weights.rows == 0 || weights.cols == 0) return {};
  if (const status s = detail::check_array(gram, weights.cols, "sparsegpt: gram is null or misaligned"); !s) return s;
  if (const status s = detail::check_workspace(memory, needed); !s) return s;
  detail::sparsegpt_call call{weights, gram, out, report, options, detail::block_columns(options.block, pattern(nm).m)};
  if (const status s = detail::check_sparsegpt_buffers(call, memory, needed); !s) return s;
  const detail::blas_settings settings(on.blas);
  if (!settings.outcome()) return settings.outcome();
  int scratch = 0;
  if (const status s = detail::factor_scratch(on, weights.cols, &scratch); !s) return s;
  call.options.rule.search.start = start::cold;
  detail::pieces from(memory.data);
  const detail::sparsegpt_pieces m(from, weights.rows, weights.cols, call.block, scratch);
  return detail::enqueue_sparsegpt(on, nm, call, m, scratch);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
