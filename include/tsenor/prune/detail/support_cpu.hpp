// Masks of every structure on the CPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tsenor/cpu_executor.hpp"
#include "tsenor/detail/parallel_for.hpp"
#include "tsenor/detail/scale.hpp"
#include "tsenor/find_mask.hpp"
#include "tsenor/prune/detail/check_layer.hpp"
#include "tsenor/prune/detail/row_mask.hpp"
#include "tsenor/prune/detail/saliency.hpp"

namespace tsenor::prune::detail {

// One tile of a mask by rows; its first element is at (row, col).
template <class T>
void mask_tile_by_rows(pattern nm, structure how, const matrix_view<const T>& w, const mask_outputs<T>& out,
                       const saliency& worth_of, std::int64_t row, std::int64_t col) {
  tsenor::detail::importance_value<T> worth[max_tile * max_tile];
  std::uint8_t kept[max_tile * max_tile];
  const int height = int(std::min<std::int64_t>(nm.m, w.rows - row)),
            width = int(std::min<std::int64_t>(nm.m, w.cols - col));
  const auto* const from = w.data + row * w.row_stride + col;
  for (int i = 0; i < height; ++i)
    for (int j = 0; j < width; ++j)
      worth[i * nm.m + j] =
          worth_of.rank(tsenor::detail::clean(
                            worth_of(tsenor::detail::to_arithmetic(from[i * w.row_stride + j]), row + i, col + j, 0)),
                        col + j);
  for (int i = 0; i < height; ++i)
    for (int j = 0; j < width; ++j) kept[i * nm.m + j] = kept_in_row(worth + i * nm.m, width, j, nm.n);
  for (int i = 0; i < height; ++i) {
    for (int j = 0; j < width; ++j) {
      const bool keep = how == structure::row_wise ? kept[i * nm.m + j] != 0
                                                   : kept_in_column(worth + j, kept + j, nm.m, height, i, nm.n);
      out.mask.data[(row + i) * out.mask.row_stride + col + j] = keep;
      out.pruned.data[(row + i) * out.pruned.row_stride + col + j] = keep ? from[i * w.row_stride + j] : T{};
    }
  }
}

template <class T>
status find_transposable(cpu_executor cpu, pattern nm, const matrix_view<const T>& w, const mask_outputs<T>& out,
                         const tsenor::options& search, const saliency& worth_of) {
  return find_mask(cpu, nm, w, out, search, worth_of);
}
template <int N, int M, class T>
status find_transposable(cpu_executor cpu, static_pattern<N, M>, const matrix_view<const T>& w,
                         const mask_outputs<T>& out, const tsenor::options& search, const saliency& worth_of) {
  return find_mask<N, M>(cpu, w, out, search, worth_of);
}

// The support of `w` by `worth_of`, all arguments being checked, and the weights on it. T is a storage type.
template <class Pattern, class T>
status find_support(cpu_executor cpu, Pattern fixed, const sparsity& rule, const matrix_view<const T>& w,
                    const mask_outputs<T>& out, const saliency& worth_of) {
  const pattern nm = fixed;
  if (rule.structure == structure::transposable) {
    tsenor::options search = rule.search;
    search.start = start::cold;
    return find_transposable(cpu, fixed, w, out, search, worth_of);
  }
  const std::int64_t across = (w.cols + nm.m - 1) / nm.m, tiles = across * ((w.rows + nm.m - 1) / nm.m);
  tsenor::detail::parallel_for(cpu.threads, tiles, std::max(1, 16384 / (nm.m * nm.m)), [&](auto begin, auto end) {
    for (std::int64_t t = begin; t < end; ++t)
      mask_tile_by_rows(nm, rule.structure, w, out, worth_of, t / across * nm.m, t % across * nm.m);
  });
  return {};
}

// Magnitude and Wanda: a mask, and the weights as they are.
template <class Pattern, class T>
status prune_by_saliency(cpu_executor cpu, Pattern nm, const sparsity& rule, const matrix_view<const T>& w,
                         const outputs<T>& out, const saliency& worth_of) {
  if constexpr (tsenor::detail::check_types<T, saliency>()) {
    mask_outputs<T> found;
    found.mask = out.mask;
    found.pruned = out.pruned;
    return find_support(cpu, nm, rule, tsenor::detail::stored(w), tsenor::detail::stored(found), worth_of);
  } else {
    return {};
  }
}

}  // namespace tsenor::prune::detail
