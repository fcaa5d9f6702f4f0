// Masks of every structure on the GPU.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "tsenor/detail/scale.hpp"
#include "tsenor/find_mask.cuh"
#include "tsenor/prune/detail/check_layer.hpp"
#include "tsenor/prune/detail/row_mask.hpp"
#include "tsenor/prune/detail/saliency.hpp"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

inline constexpr int strip_threads = 256;

// Columns of a strip: whole tiles, and 32 KB of shared memory at M = 64.
template <class Value>
inline constexpr int strip_columns = 512 / sizeof(Value);

// Each block takes M rows and some whole tiles of them at a time.
template <class T>
__global__ void __launch_bounds__(strip_threads)
    mask_by_rows_kernel(const matrix_view<const T> w, const mask_outputs<T> out, const saliency worth_of,
                        const pattern nm, const bool then_columns) {
  using value = tsenor::detail::importance_value<T>;
  __shared__ value worth[max_tile][strip_columns<value>];
  __shared__ std::uint8_t kept[max_tile][strip_columns<value>];
  const int across = strip_columns<value> / nm.m * nm.m;
  const std::int64_t first = std::int64_t(blockIdx.x) * across;
  const int width = int(min(std::int64_t(across), w.cols - first));
  for (std::int64_t top = std::int64_t(blockIdx.y) * nm.m; top < w.rows; top += std::int64_t(gridDim.y) * nm.m) {
    const int height = int(min(std::int64_t(nm.m), w.rows - top));
    for (int k = threadIdx.x; k < height * width; k += strip_threads) {
      const std::int64_t i = top + k / width, j = first + k % width;
      worth[k / width][k % width] = worth_of.rank(
          tsenor::detail::clean(worth_of(tsenor::detail::to_arithmetic(w.data[i * w.row_stride + j]), i, j, 0)), j);
    }
    __syncthreads();
    for (int k = threadIdx.x; k < height * width; k += strip_threads) {
      const int i = k / width, j = k % width, tile = j / nm.m * nm.m;
      kept[i][j] = kept_in_row(&worth[i][tile], min(nm.m, width - tile), j - tile, nm.n);
    }
    __syncthreads();
    for (int k = threadIdx.x; k < height * width; k += strip_threads) {
      const int i = k / width, j = k % width;
      const bool keep = then_columns ? kept_in_column(&worth[0][j], &kept[0][j], strip_columns<value>, height, i, nm.n)
                                     : kept[i][j] != 0;
      const T weight = w.data[(top + i) * w.row_stride + first + j];
      out.mask.data[(top + i) * out.mask.row_stride + first + j] = keep;
      out.pruned.data[(top + i) * out.pruned.row_stride + first + j] = keep ? weight : T{};
    }
    __syncthreads();
  }
}

template <class T>
status mask_by_rows(pattern nm, structure how, const matrix_view<const T>& w, const mask_outputs<T>& out,
                    const saliency& worth_of, cudaStream_t stream) {
  const int across = strip_columns<tsenor::detail::importance_value<T>> / nm.m * nm.m;
  constexpr std::int64_t most_bands = 65535;
  const dim3 grid(unsigned((w.cols - 1) / across + 1), unsigned(std::min((w.rows - 1) / nm.m + 1, most_bands)));
  mask_by_rows_kernel<T><<<grid, strip_threads, 0, stream>>>(w, out, worth_of, nm, how == structure::row_then_column);
  return tsenor::detail::launch_status();
}

template <class T>
status find_transposable(pattern nm, const matrix_view<const T>& w, const mask_outputs<T>& out,
                         const tsenor::options& search, const saliency& worth_of, cudaStream_t stream) {
  return find_mask(nm, w, out, search, worth_of, stream);
}
template <int N, int M, class T>
status find_transposable(static_pattern<N, M>, const matrix_view<const T>& w, const mask_outputs<T>& out,
                         const tsenor::options& search, const saliency& worth_of, cudaStream_t stream) {
  return find_mask<N, M>(w, out, search, worth_of, stream);
}

// The support of `w` by `worth_of`, and the weights on it; mask and pruned are both given with their strides, all
// arguments are checked, and `w` has elements. T is a storage type.
template <class Pattern, class T>
status find_support(Pattern nm, const sparsity& rule, const matrix_view<const T>& w, const mask_outputs<T>& out,
                    const saliency& worth_of, cudaStream_t stream) {
  if (rule.structure == structure::transposable) return find_transposable(nm, w, out, rule.search, worth_of, stream);
  return mask_by_rows(nm, rule.structure, w, out, worth_of, stream);
}

// Magnitude and Wanda: a mask, and the weights as they are.
template <class Pattern, class T>
status prune_by_saliency(Pattern nm, const sparsity& rule, const matrix_view<const T>& w, const outputs<T>& out,
                         const saliency& worth_of, cudaStream_t stream) {
  if constexpr (tsenor::detail::check_types<T, saliency>()) {
    mask_outputs<T> found;
    found.mask = out.mask;
    found.pruned = out.pruned;
    return find_support(nm, rule, tsenor::detail::stored(w), tsenor::detail::stored(found), worth_of, stream);
  } else {
    return {};
  }
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
