/// \file
/// find_mask on the CPU: plain C++17 (g++ >= 11 or clang++ >= 13), no CUDA toolkit.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tsenor/cpu_executor.hpp"
#include "tsenor/detail/cpu_machines.hpp"
#include "tsenor/detail/parallel_for.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/types.hpp"
#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor {
namespace detail {

/// Number of weights that a thread takes at a time, in whole tiles: some tens of microseconds of work.
inline constexpr std::int64_t weights_per_grain = 16384;

template <int Width, bool AnyWeight, bool With4, class Weight, class Importance>
void run_on_cpu(int threads, const problem<Weight, Importance>& problem) {
  const instruction_set isa = best_instruction_set();
  parallel_for(
      threads, problem.grid.tiles, weights_per_grain / (problem.nm.m * problem.nm.m),
      [&](std::int64_t begin, std::int64_t end) { run_tiles<Width, AnyWeight, With4>(isa, problem, begin, end); });
}

template <bool With4, int... Widths, class T, class Importance>
status find_mask_on_cpu(int threads, pattern nm, const matrix_view<T>& weights,
                        const mask_outputs<std::remove_const_t<T>>& out, const options& opts,
                        const Importance& importance) {
  if (threads < 0)
    return {status_code::invalid_option, "cpu_executor::threads must not be negative (0 means all)", threads, 0};
  auto problem = make_problem(nm, stored(weights), stored(out), opts, importance);
  status s = check_problem(problem, opts);
  if (!s.ok() || problem.grid.tiles == 0) return s;
  s = check_wanted(problem.out);
  if (!s.ok()) return s;
  constexpr bool any_weight = sizeof...(Widths) > 1;  // with all widths to compile, once for all types of weights
  ((lane_width(nm.m) == Widths ? run_on_cpu<Widths, any_weight, With4>(threads, problem) : void()), ...);
  return {};
}

}  // namespace detail

/// Finds a transposable N:M mask on the CPU: in every M x M tile of `weights` exactly, or at most, N weights are kept
/// in each row and each column. By default no mask keeps more importance, and reports and prices prove it.
///
/// \tparam N          weights to keep, 1 <= N <= M; anything else does not compile
/// \tparam M          side of a tile, 2 <= M <= 64; anything else does not compile
/// \tparam T          float, double, or a type of weight_types.hpp
/// \param executor    the threads to use
/// \param weights     `[batch, rows, cols]`; strides as matrix_view allows them
/// \param out         where to write: the caller's buffers. Every output is optional, but at least one is needed; see
///                    mask_outputs
/// \param opts        method, constraint, treatment of edges, cold or warm start; see options
/// \param importance  the importance of a weight; see importance.hpp
/// \return success, or an error, and then nothing has been written: invalid_shape, not_divisible, invalid_pointer,
///         overlapping_buffers, invalid_option. A matrix without elements succeeds, also with null pointers.
///
/// Returns when the work is done. Deterministic: the same input gives the same bits on every run, for any number of
/// threads, alignment, strides and other outputs, on processors with the same instruction set. Thread-safe. Memory: up
/// to 150 KB for each thread, on its stack; only the threads are on the heap. Cost: a few selections in each row and
/// column, then shortest paths, which depend on the weights. With options::published(): about five multiply-adds for
/// each iteration and weight, and an exponential in every eighth iteration. Source: successive shortest paths from
/// balanced prices find the optimum, see detail/stages/price.hpp and repair.hpp. The published method is arXiv
/// 2505.23949, Algorithms 1 and 2.
///
/// \code
/// std::vector<float> weights(64 * 64, 1.0f);
/// std::vector<std::uint8_t> mask(weights.size());
/// tsenor::mask_outputs<float> out;
/// out.mask = mask.data();
/// const tsenor::matrix_view view{weights.data(), 64, 64};
/// const tsenor::status s = tsenor::find_mask<8, 16>(tsenor::cpu_executor{}, view, out);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <int N, int M, class T, class Importance = magnitude>
status find_mask(cpu_executor executor, matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out,
                 options opts = {}, Importance importance = {}) {
  detail::check_static_pattern<N, M>();
  if constexpr (detail::check_host_types<T, Importance>())
    return detail::find_mask_on_cpu<M == 4, detail::lane_width(M)>(executor.threads, pattern{N, M}, weights, out, opts,
                                                                   importance);
  else
    return {};
}

/// The same with the pattern as a run-time value: invalid_pattern if it is not supported. Compiles the solver for all
/// four lane widths, where the pattern as template arguments compiles one. For each importance it is compiled once for
/// all types of weights but double, and once for double (on the GPU once for all types, double included). The solver of
/// 4x4 tiles is compiled for each type.
template <class T, class Importance = magnitude>
status find_mask(cpu_executor executor, pattern nm, matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out,
                 options opts = {}, Importance importance = {}) {
  if constexpr (detail::check_host_types<T, Importance>())
    return detail::find_mask_on_cpu<true, 8, 16, 32, 64>(executor.threads, nm, weights, out, opts, importance);
  else
    return {};
}

/// The simplest call: a dense matrix `[rows, cols]`, by magnitude, to a dense byte mask.
///
/// \tparam N        weights to keep, as above
/// \tparam M        side of a tile, as above
/// \tparam T        the type of the weights, as above
/// \param executor  the threads to use
/// \param weights   `[rows, cols]`, row-major, no padding; only read
/// \param rows      a multiple of M, unless `opts.edge` is edge::partial; as is `cols`
/// \param cols      elements of a row
/// \param mask      `[rows, cols]` bytes, 1 where the weight is kept, else 0; not null unless there are no weights
/// \param opts      method, constraint, treatment of edges; start::warm is refused, because there are no prices
/// \return as above
template <int N, int M, class T>
status find_mask(cpu_executor executor, const T* weights, std::int64_t rows, std::int64_t cols, std::uint8_t* mask,
                 options opts = {}) {
  mask_outputs<T> out;
  out.mask = mask;
  return find_mask<N, M>(executor, matrix_view<const T>(weights, rows, cols), out, opts);
}

}  // namespace tsenor
