/// \file
/// find_mask on the GPU.
#pragma once

#include "tsenor/detail/config.hpp"  // first: an nvcc that is too old has not all headers of the next lines

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/detail/launch.cuh"
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

template <>
struct storage<__half> {
  using type = float16;
};
template <>
struct storage<__nv_bfloat16> {
  using type = bfloat16;
};
template <>
struct storage<__nv_fp8_e4m3> {
  using type = float8_e4m3;
};
template <>
struct storage<__nv_fp8_e5m2> {
  using type = float8_e5m2;
};

inline namespace TSENOR_ABI {

// Side: M, or 0 where it is a run-time value.
template <int Side, int... Widths, class T, class Importance>
status find_mask_on_gpu(pattern nm, const matrix_view<T>& weights, const mask_outputs<std::remove_const_t<T>>& out,
                        const options& opts, const Importance& importance, cudaStream_t stream) {
  status s = pending_error();
  if (!s.ok()) return s;
  auto problem = make_problem(nm, stored(weights), stored(out), opts, importance);
  s = check_problem(problem, opts);
  if (!s.ok() || problem.grid.tiles == 0) return s;
  s = check_wanted(problem.out);
  if (!s.ok()) return s;
  constexpr bool any_weight = sizeof...(Widths) > 1;  // with all widths to compile, once for all types of weights
  ((lane_width(nm.m) == Widths ? void(s = launch<Widths, Side, any_weight>(problem, stream)) : void()), ...);
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace detail

inline namespace TSENOR_ABI {

/// Finds a transposable N:M mask on the GPU: in every M x M tile of `weights` exactly, or at most, N weights are kept
/// in each row and each column. By default no mask keeps more importance, and reports and prices prove it.
///
/// \tparam N          weights to keep, 1 <= N <= M; anything else does not compile
/// \tparam M          side of a tile, 2 <= M <= 64; anything else does not compile
/// \tparam T          float, double, __half, __nv_bfloat16, __nv_fp8_e4m3, __nv_fp8_e5m2, or the library's type of the
///                    same layout
/// \param weights     `[batch, rows, cols]` in device memory; strides as matrix_view allows them, natural alignment
/// \param out         where to write, in device memory. Every output is optional, but at least one is needed; see
///                    mask_outputs
/// \param opts        method, constraint, treatment of edges, cold or warm start; see options
/// \param importance  the importance of a weight: a `__device__` callable that is passed by value; see importance.hpp
/// \param stream      the stream to run on. The call runs on the stream's device. During capture, and with CUDA before
///                    12.8, that device must be the current one. All buffers, and what `importance` points to, must
///                    stay alive and unchanged until the work on the stream is done
/// \return success, or an error, and then nothing was launched and nothing will be written: invalid_shape,
///         not_divisible, invalid_pointer, overlapping_buffers, invalid_option, no_device, device_error. If an error
///         was pending on the calling thread before the call, it is returned and stays pending. A matrix without
///         elements succeeds without a launch. As always, errors of the running kernel appear in later CUDA calls.
///
/// One kernel launch; no allocation, no synchronisation, no workspace; a CUDA graph can capture it. Deterministic: the
/// same input gives the same bits on every run on the same kind of device. Thread-safe. Cost: a few selections in each
/// row and column, then shortest paths, which depend on the weights. With options::published(): about five
/// multiply-adds for each iteration and weight. Memory traffic: only the inputs and outputs. Source: successive
/// shortest paths from balanced prices find the optimum, see detail/stages/price.hpp and repair.hpp. The published
/// method is arXiv 2505.23949, Algorithms 1 and 2.
///
/// \code
/// tsenor::mask_outputs<float> out;
/// out.mask = mask;  // device memory, [rows, cols] bytes
/// const tsenor::status s = tsenor::find_mask<8, 16>(tsenor::matrix_view{weights, rows, cols}, out);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <int N, int M, class T, class Importance = magnitude>
status find_mask(matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out, options opts = {},
                 Importance importance = {}, cudaStream_t stream = nullptr) {
  detail::check_static_pattern<N, M>();
  if constexpr (detail::check_kernel_types<T, Importance>())
    return detail::find_mask_on_gpu<M, detail::lane_width(M)>(pattern{N, M}, weights, out, opts, importance, stream);
  else
    return {};
}

/// The same with the pattern as a run-time value: invalid_pattern if it is not supported. Compiles the kernels of all
/// four lane widths, where the pattern as template arguments compiles those of one. For each importance they are
/// compiled once for all types of weights, double included (on the CPU once for all types but double, and once for
/// double). The kernels of 4x4 tiles are compiled for each type.
template <class T, class Importance = magnitude>
status find_mask(pattern nm, matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out, options opts = {},
                 Importance importance = {}, cudaStream_t stream = nullptr) {
  if constexpr (detail::check_kernel_types<T, Importance>())
    return detail::find_mask_on_gpu<0, 8, 16, 32, 64>(nm, weights, out, opts, importance, stream);
  else
    return {};
}

/// The simplest call: a dense matrix `[rows, cols]`, by magnitude, to a dense byte mask, all in device memory.
///
/// \tparam N       weights to keep, as above
/// \tparam M       side of a tile, as above
/// \tparam T       the type of the weights, as above
/// \param weights  `[rows, cols]`, row-major, no padding; only read
/// \param rows     a multiple of M, unless `opts.edge` is edge::partial; as is `cols`
/// \param cols     elements of a row
/// \param mask     `[rows, cols]` bytes, 1 where the weight is kept, else 0; not null unless there are no weights
/// \param opts     method, constraint, treatment of edges; start::warm is refused, because there are no prices
/// \param stream   the stream to run on, as above
/// \return as above
template <int N, int M, class T>
status find_mask(const T* weights, std::int64_t rows, std::int64_t cols, std::uint8_t* mask, options opts = {},
                 cudaStream_t stream = nullptr) {
  mask_outputs<T> out;
  out.mask = mask;
  return find_mask<N, M>(matrix_view<const T>(weights, rows, cols), out, opts, magnitude{}, stream);
}

}  // namespace TSENOR_ABI
}  // namespace tsenor
