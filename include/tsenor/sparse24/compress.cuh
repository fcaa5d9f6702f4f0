/// \file
/// The optimal 2:4 transposable mask of a matrix and the compressed operands of W and of W^T, of 16-bit types or cast
/// to float8, in one kernel that reads W once.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/detail/device_status.cuh"
#include "tsenor/detail/kernels.cuh"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/types.hpp"
#include "tsenor/detail/validate24.hpp"
#include "tsenor/find_mask.cuh"
#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/sparse24/layout.hpp"
#include "tsenor/status.hpp"

namespace tsenor {
namespace detail {
inline namespace TSENOR_ABI {

// Whether the mask is given, or found.
enum class mask24 { found, given };

template <mask24 Mask, bool Certifies, class Values, class Weight, class Importance>
__global__ void __launch_bounds__(cuda::patch24_threads, 4)
    compress24_kernel(const problem<Weight, Importance> problem, const matrix_view<const std::uint8_t> given,
                      const cuda::operands24 to, const Values values) {
  __shared__ cuda::patch24_memory<Values> memory;
  const int thread = int(threadIdx.x);
  const std::int64_t rows = problem.grid.rows, cols = problem.grid.cols;
  const std::int64_t row = std::int64_t(blockIdx.y) * cuda::patch24, col = std::int64_t(blockIdx.x) * cuda::patch24;
  const cuda::place24<Values> place(thread);
  const std::int64_t down = row / 4 + place.down, across = col / 4 + place.across;
  const tile_position at{0, 4 * down, 4 * across, across, 4, 4, true};
  int replaced = 0;
  const std::uint32_t kept =
      Mask == mask24::given ? cuda::read_tile24(given, at) : cuda::solve_tile24(problem, at, replaced);
  cuda::encode_tile24(values, cuda::weights_of<true>(problem, at), at, kept, place,
                      to.weights + cuda::bytes_of_kept<Values>(row * cols + col),
                      std::uint32_t(cuda::bytes_of_kept<Values>(cols)), to, memory);
  cuda::store_tile4<true, Certifies>(problem, at, down * (cols / 4) + across, cuda::mask4{kept, 2, false}, replaced);
  __syncthreads();
  cuda::store_patch24(thread, row, col, rows, cols, to, memory);
}

template <class Values, class T, class Importance>
constexpr bool check_compress24_types() {
  constexpr bool fits = Values::bytes == 1 ? sizeof(T) == 2 || std::is_same_v<storage_t<T>, float> : sizeof(T) == 2;
  static_assert(fits, "tsenor: the compressed 2:4 form is for 16-bit types; cast to float8 also for float");
  return check_kernel_types<T, Importance>() && fits;
}

inline sparse24::scales scales_of(const cuda::copied24&) { return {}; }
inline sparse24::scales scales_of(const cuda::cast24& values) { return values.by; }

template <mask24 Mask, class Values, class Weight, class Importance>
status launch_compress24(problem<Weight, Importance>& problem, const Values& values,
                         const matrix_view<const std::uint8_t>& given, const sparse24::operands& to,
                         cudaStream_t stream) {
  status s = pending_error();
  if (s.ok()) s = check_compress24(problem, given, to, Values::bytes, scales_of(values));
  if (!s.ok() || problem.grid.tiles == 0) return s;
  const stream_device device(stream);
  if (!device.outcome()) return device.outcome();
  const dim3 patches(unsigned(problem.grid.cols / cuda::patch24), unsigned(problem.grid.rows / cuda::patch24));
  const cuda::operands24 bytes{static_cast<unsigned char*>(to.weights), static_cast<unsigned char*>(to.transposed)};
  if (Mask == mask24::found && problem.certifies())
    compress24_kernel<Mask, Mask == mask24::found>
        <<<patches, cuda::patch24_threads, 0, stream>>>(problem, given, bytes, values);
  else
    compress24_kernel<Mask, false><<<patches, cuda::patch24_threads, 0, stream>>>(problem, given, bytes, values);
  return launch_status();
}

template <class T, class Importance, class Values>
status find_and_compress24(const matrix_view<T>& weights, const mask_outputs<std::remove_const_t<T>>& out,
                           const sparse24::operands& to, const Values& values, const Importance& importance,
                           cudaStream_t stream) {
  if constexpr (check_compress24_types<Values, T, Importance>()) {
    auto problem = make_problem(pattern{2, 4}, stored(weights), stored(out), options{}, importance);
    return launch_compress24<mask24::found>(problem, values, {}, to, stream);
  } else {
    return {};
  }
}

template <class T, class Values>
status compress_given24(const matrix_view<T>& weights, const matrix_view<const std::uint8_t>& mask,
                        const output_buffer<std::remove_const_t<T>>& pruned, const sparse24::operands& to,
                        const Values& values, cudaStream_t stream) {
  if (const status s = check_given24(mask, weights.rows, weights.cols); !s) return s;
  mask_outputs<std::remove_const_t<T>> out;
  out.pruned = pruned;
  if constexpr (check_compress24_types<Values, T, magnitude>()) {
    auto problem = make_problem(pattern{2, 4}, stored(weights), stored(out), options{}, magnitude{});
    return launch_compress24<mask24::given>(problem, values, mask, to, stream);
  } else {
    return {};
  }
}

}  // namespace TSENOR_ABI
}  // namespace detail

namespace sparse24 {
inline namespace TSENOR_ABI {

/// Finds the 2:4 transposable mask that keeps the most importance, the same mask as find_mask<2, 4>. Writes the
/// compressed operands of the matrix and of its transpose, each optional.
///
/// \tparam T          __half, __nv_bfloat16, or the library's type of the same layout
/// \param weights     `[rows, cols]`, multiples of 64, in device memory; rows begin at multiples of 4 elements; no
///                    batch
/// \param out         find_mask's outputs, each optional; rows of mask and pruned begin at multiples of 4 elements too.
///                    `pruned` may be the weights themselves
/// \param to          the compressed operands, each optional; disjoint from everything else
/// \param importance  what a weight is worth; see importance.hpp
/// \param stream      as for find_mask
/// \return success, or what was wrong, and then nothing was launched: invalid_shape, not_divisible, invalid_pointer
///         (also where there is nothing to write), overlapping_buffers, no_device, device_error
///
/// One launch; no allocation, no synchronisation; a CUDA graph can capture it. Deterministic. Values are copied bit for
/// bit. Cost: reads W (a second time through the cache), writes 9/8 of half its size for each operand.
///
/// \code
/// const tsenor::sparse24::operands to{compressed, compressed_transposed};
/// const tsenor::matrix_view<const __half> view(weights, rows, cols);
/// const tsenor::status s = tsenor::sparse24::find_mask_and_compress(view, {}, to, tsenor::magnitude{}, stream);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <class T, class Importance = magnitude>
status find_mask_and_compress(matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out, operands to,
                              Importance importance = {}, cudaStream_t stream = nullptr) {
  return tsenor::detail::find_and_compress24(weights, out, to, tsenor::detail::cuda::copied24{}, importance, stream);
}

/// The same with operands of float8 (E4M3): a kept weight becomes to_e4m3(weight * scale), the product a float. The
/// mask is that of the weights as they are, and so are the outputs.
///
/// \tparam T  float, or a 16-bit type as above
/// \param by  what to multiply by, for each operand that is wanted: device memory, disjoint from everything written
///
/// Cost: reads W, writes 5/8 of a byte a weight for each operand. What is too small for its scale is stored as 0, at
/// the place that the mask keeps; the vendor's compress, which looks at values, would keep another.
///
/// \code
/// const tsenor::sparse24::operands to{compressed, compressed_transposed};
/// const tsenor::sparse24::scale one_for_all{scale}, of_row{row_scales, true};
/// const tsenor::matrix_view<const __half> view(weights, rows, cols);
/// const tsenor::status s =
///     tsenor::sparse24::find_mask_and_compress(view, {}, to, {of_row, one_for_all}, tsenor::magnitude{}, stream);
/// if (!s.ok()) std::puts(s.message());
/// \endcode
template <class T, class Importance = magnitude>
status find_mask_and_compress(matrix_view<T> weights, mask_outputs<std::remove_const_t<T>> out, operands to, scales by,
                              Importance importance = {}, cudaStream_t stream = nullptr) {
  return tsenor::detail::find_and_compress24(weights, out, to, tsenor::detail::cuda::cast24{by}, importance, stream);
}

/// The same with a given mask, such as that of an earlier step: weights change in every step, the mask need not.
///
/// \param mask    bytes `[rows, cols]` in device memory, any value but 0 means "kept"; two in each row and column of
///                each 4x4 tile, which is not checked: elsewhere the operands hold other values of the tile. Rows begin
///                at multiples of 4. Disjoint from all that is written
/// \param pruned  the weights, 0 where not kept; optional, and as find_mask_and_compress has it
template <class T>
status compress(matrix_view<T> weights, matrix_view<const std::uint8_t> mask,
                output_buffer<std::remove_const_t<T>> pruned, operands to, cudaStream_t stream = nullptr) {
  return tsenor::detail::compress_given24(weights, mask, pruned, to, tsenor::detail::cuda::copied24{}, stream);
}

/// Both: float8 operands of a mask that there is already.
template <class T>
status compress(matrix_view<T> weights, matrix_view<const std::uint8_t> mask,
                output_buffer<std::remove_const_t<T>> pruned, operands to, scales by, cudaStream_t stream = nullptr) {
  return tsenor::detail::compress_given24(weights, mask, pruned, to, tsenor::detail::cuda::cast24{by}, stream);
}

}  // namespace TSENOR_ABI
}  // namespace sparse24
}  // namespace tsenor
