/// \file
/// ALPS on the GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tsenor/prune/detail/alps_run.cuh"
#include "tsenor/prune/handles.cuh"
#include "tsenor/prune/outputs.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tsenor::prune {

/// The data about a layer's inputs that alps needs, for any pattern. alps_prepare makes it once, in the caller's memory
/// (aligned to 256 bytes, alps_inputs_size(inputs) bytes). Any number of calls of alps may read it.
struct alps_inputs {
  void* data = nullptr;
  std::int64_t inputs = 0;
};

inline namespace TSENOR_ABI {

/// The bytes that alps_inputs::data takes: about 8 inputs^2.
inline std::size_t alps_inputs_size(std::int64_t inputs) {
  detail::pieces from;
  static_cast<void>(detail::spectrum(from, inputs));
  return from.used();
}

}  // namespace TSENOR_ABI

/// Options of alps; an option outside its range gives invalid_option.
struct alps_options {
  sparsity rule;
  int iterations = 300;       ///< limit of iterations, 1 to 100000
  bool until_settled = true;  ///< stop earlier if the support has settled, by the authors' rule
  int refit_steps = 10;       ///< conjugate gradients on the final support; 0 to 1000
  /// The arithmetic of the products in the iteration and in the refit.
  prune::arithmetic arithmetic = prune::arithmetic::fp32;
};

/// What alps reports.
struct alps_report {
  int iterations;            ///< iterations taken
  int inverses;              ///< number of values that rho had
  int restarts;              ///< restarts from the dense weights, with a smaller rho
  std::int32_t dead_inputs;  ///< inputs without activations, or with NaN or infinite ones
};

namespace detail {
inline namespace TSENOR_ABI {

inline status check_alps_options(const alps_options& o) {
  if (o.iterations < 1 || o.iterations > 100000)
    return {status_code::invalid_option, "alps_options::iterations must be 1 to 100000", o.iterations,
            o.iterations < 1 ? 1 : 100000};
  if (o.refit_steps < 0 || o.refit_steps > 1000)
    return {status_code::invalid_option, "alps_options::refit_steps must be 0 to 1000", o.refit_steps,
            o.refit_steps < 0 ? 0 : 1000};
  if (o.arithmetic != arithmetic::fp32 && o.arithmetic != arithmetic::tf32)
    return {status_code::invalid_option, "unknown alps_options::arithmetic", int(o.arithmetic)};
  return {};
}

inline status check_prepare_buffers(const float* gram, const alps_inputs& to, const workspace& memory,
                                    std::size_t needed) {
  return check_apart(
      {read_buffer(gram, to.inputs * to.inputs, ""),
       written_buffer(static_cast<const char*>(to.data), std::int64_t(alps_inputs_size(to.inputs)),
                      "alps_prepare: alps_inputs shares memory with gram: give it its own buffer"),
       scratch_buffer(memory, needed,
                      "alps_prepare: the workspace shares memory with gram or alps_inputs: give it its own buffer")});
}

inline status check_alps_buffers(const matrix_view<const float>& weights, const alps_inputs& inputs,
                                 const outputs<float>& out, const workspace& memory, std::size_t needed,
                                 const alps_report* report) {
  const layer_buffers<float> layer(weights, out);
  return check_apart(
      {layer.weights, layer.pruned, layer.mask,
       read_buffer(static_cast<const char*>(inputs.data), std::int64_t(alps_inputs_size(inputs.inputs)),
                   "alps: alps_inputs shares memory with an output: give it its own buffer"),
       written_buffer(
           report, 1,
           "alps: the report shares memory with the weights, alps_inputs or an output: give it its own buffer"),
       scratch_buffer(
           memory, needed,
           "alps: the workspace shares memory with the weights, alps_inputs, an output or the report: give it "
           "its own buffer")});
}

// Waits for the stream: whether there are eigenvectors at all has to be known first.
inline status read_spectrum(const handles& on, const spectrum& h, std::int32_t* dead) {
  std::int32_t info = 0;
  using tsenor::detail::runtime_status;
  status s = runtime_status(cudaMemcpyAsync(&info, h.info, sizeof info, cudaMemcpyDeviceToHost, on.stream));
  if (s) s = runtime_status(cudaMemcpyAsync(dead, h.dead, sizeof *dead, cudaMemcpyDeviceToHost, on.stream));
  if (s) s = runtime_status(cudaStreamSynchronize(on.stream));
  if (s && info != 0)
    return {status_code::device_error,
            "the eigendecomposition of the inputs did not converge: check that gram is symmetric (observed() is "
            "cuSOLVER's info)",
            info};
  return s;
}

template <class Pattern>
status run_alps(const handles& on, Pattern nm, const alps_options& options, matrix_view<const float> weights,
                const spectrum& h, const alps_pieces& m, const outputs<float>& out, alps_report* report) {
  std::int32_t dead = 0;
  alps_progress progress;
  alps_run<Pattern> run(on, nm, options.rule, weights, h, m);
  status s = read_spectrum(on, h, &dead);
  if (s) s = run.prepare();
  if (s) s = run.iterate(options.iterations, options.until_settled, &progress);
  if (s) s = run.finish(options.refit_steps, out);
  if (s && report != nullptr) *report = {progress.iterations, progress.inverses, progress.restarts, dead};
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// The bytes of workspace that alps_prepare takes: about 24 inputs^2.
///
/// \param on    needs the solver
/// \param bytes on the host, written on success
inline status alps_prepare_workspace(const handles& on, std::int64_t inputs, std::size_t* bytes) {
  if (const status s = detail::check_one_matrix(inputs, inputs, inputs, 1); !s) return s;
  if (const status s = detail::check_handles(on, true); !s) return s;
  int scratch = 0;
  if (inputs > 0)
    if (const status s = detail::spectrum_scratch(on, inputs, &scratch); !s) return s;
  detail::pieces from;
  static_cast<void>(detail::spectrum_pieces(from, inputs, scratch));
  *bytes = from.used();
  return {};
}

/// Makes alps_inputs from a gram matrix: G = gram + damping mean(diag gram) I, D = sqrt(diag G), H = D^-1 G D^-1, and
/// the eigenvalues and eigenvectors of H, computed in double.
///
/// \param on      blas, solver and stream
/// \param gram    `[inputs, inputs]` dense and symmetric in device memory, see accumulate_gram. It may be singular
///                (fewer tokens than inputs). An input whose diagonal entry is not a positive number is dead: it does
///                not affect other inputs, and D_jj is 2^-7 of the smallest of the live ones, or 1 if all are dead.
///                Its weights rank by magnitude, below all others; kept ones stay as they are
/// \param to      where to write; `to.inputs` is the size of gram. Disjoint from gram
/// \param memory  what alps_prepare_workspace says
/// \param damping as a fraction of the mean of gram's diagonal; 1e-6 to 1e6
/// \return success, or an error; unless that is device_error, nothing is enqueued. If the eigendecomposition did not
///         converge, alps reports it
///
/// No allocation; cuSOLVER waits for the stream. Cost: an eigendecomposition, by far the longest step for a
/// single pattern.
inline status alps_prepare(const handles& on, const float* gram, alps_inputs to, workspace memory,
                           double damping = 0.01) {
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (!(damping >= 1e-6 && damping <= 1e6))
    return {status_code::invalid_option, "alps_prepare: damping must be 1e-6 to 1e6"};
  std::size_t needed = 0;
  if (const status s = alps_prepare_workspace(on, to.inputs, &needed); !s) return s;
  if (to.inputs == 0) return {};
  if (const status s = detail::check_array(gram, to.inputs, "alps_prepare: gram is null or misaligned"); !s) return s;
  if (const status s = detail::check_workspace({to.data, alps_inputs_size(to.inputs)}, alps_inputs_size(to.inputs)); !s)
    return s;
  if (const status s = detail::check_workspace(memory, needed); !s) return s;
  if (const status s = detail::check_prepare_buffers(gram, to, memory, needed); !s) return s;
  int scratch = 0;
  if (const status s = detail::spectrum_scratch(on, to.inputs, &scratch); !s) return s;
  detail::pieces result(to.data), from(memory.data);
  const detail::spectrum h(result, to.inputs);
  const detail::spectrum_pieces m(from, to.inputs, scratch);
  const detail::damped_gram g{gram, to.inputs, 1, 0, m.damping};
  return detail::find_spectrum(on, g, damping, h, m, scratch);
}

/// The bytes of workspace that alps takes for weights `[rows, cols]`: about 22 rows * cols + 8 cols^2.
///
/// \param bytes on the host, written on success
inline status alps_workspace(pattern nm, std::int64_t rows, std::int64_t cols, std::size_t* bytes) {
  if (const status s = tsenor::detail::check_pattern(nm); !s) return s;
  if (const status s = detail::check_one_matrix(rows, cols, cols, 1); !s) return s;
  detail::pieces from;
  if (rows > 0 && cols > 0) static_cast<void>(detail::alps_pieces(from, nm, rows, cols));
  *bytes = from.used();
  return {};
}

/// ALPS (arXiv 2406.07831): weights and support together, by the alternating direction method of multipliers on
/// the error of the layer's outputs, with the schedule of the authors' implementation. With Y = W D H,
///
///     B = (Y - V + rho Z) (H + rho I)^-1,   Z = the pattern's projection of B + V / rho,   V += rho (B - Z),
///
/// Each support has the largest sum of squares that the structure allows; find_mask finds it from the prices of the
/// iteration before. At the end come the support of B, some steps of conjugate gradients on it (each row by itself,
/// until its residual is below 1e-4 of |Y|), and the way back by D^-1.
///
/// \tparam Pattern a tsenor::pattern, or a static_pattern<N, M>
/// \param on      blas and stream
/// \param nm      the pattern N:M
/// \param weights `[rows, cols]` float in device memory, one row for each output, one column for each input; batch = 1.
///                NaN and infinity count as 0
/// \param inputs  from alps_prepare, on this stream
/// \param out     where to write, device memory; kept weights are new. `pruned` may be the weights (in place)
/// \param memory  what alps_workspace says
/// \param options see there
/// \param report  on the host, or null; disjoint from everything else
/// \return success, or an error: the errors of find_mask, invalid_pointer for an argument that is missing or a
///         workspace that is too small, invalid_option, device_error (also if the eigendecomposition had failed). The
///         outputs are only written on success
///
/// No allocation. Waits for the stream at the start and in every third iteration, where the host decides about rho.
/// When the call returns, the result is enqueued. Deterministic where cuBLAS is. Cost: rows * cols^2 multiply-adds for
/// each iteration and each step of the refit, cols^3 / 2 for each change of rho. Squares of B + V / rho have to be
/// within the range of float.
template <class Pattern>
status alps(const handles& on, Pattern nm, matrix_view<const float> weights, alps_inputs inputs, outputs<float> out,
            workspace memory, const alps_options& options = {}, alps_report* report = nullptr) {
  if (const status s = tsenor::detail::pending_error(); !s) return s;
  if (const status s = detail::check_layer(nm, options.rule, weights, out); !s) return s;
  if (const status s = detail::check_alps_options(options); !s) return s;
  if (const status s = detail::check_handles(on, false); !s) return s;
  if (inputs.inputs != weights.cols)
    return {status_code::invalid_shape, "alps: the weights and alps_inputs have different numbers of inputs",
            weights.cols, inputs.inputs};
  std::size_t needed = 0;
  if (const status s = alps_workspace(nm, weights.rows, weights.cols, &needed); !s) return s;
  if (weights.rows == 0 || weights.cols == 0) return {};
  const std::size_t kept = alps_inputs_size(inputs.inputs);
  if (const status s = detail::check_workspace({inputs.data, kept}, kept); !s) return s;
  if (const status s = detail::check_workspace(memory, needed); !s) return s;
  if (const status s = detail::check_alps_buffers(weights, inputs, out, memory, needed, report); !s) return s;
  const detail::blas_settings settings(on.blas, options.arithmetic);
  if (!settings.outcome()) return settings.outcome();
  detail::pieces stored(inputs.data), from(memory.data);
  const detail::spectrum h(stored, inputs.inputs);
  const detail::alps_pieces m(from, nm, weights.rows, weights.cols);
  return detail::run_alps(on, nm, options, weights, h, m, out, report);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune
