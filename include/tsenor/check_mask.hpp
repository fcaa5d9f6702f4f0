/// \file
/// Counts where a mask breaks its pattern, on the CPU.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tsenor/cpu_executor.hpp"
#include "tsenor/detail/config.hpp"
#include "tsenor/detail/parallel_for.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"

namespace tsenor {

/// How often a mask breaks its pattern. A mask is transposable N:M if both are 0.
struct mask_violations {
  std::int64_t rows;  ///< rows of tiles that keep too many, or under constraint::exactly too few
  std::int64_t cols;  ///< columns of tiles, likewise
};

namespace detail {

/// A checked mask, cut into bands: the tiles of one tile row of one matrix.
struct mask_bands {
  matrix_view<const std::uint8_t> mask;
  pattern shape;
  bool exactly;

  TSENOR_HOST_DEVICE std::int64_t per_matrix() const { return (mask.rows + shape.m - 1) / shape.m; }
  TSENOR_HOST_DEVICE std::int64_t count() const { return mask.cols == 0 ? 0 : mask.batch * per_matrix(); }
  TSENOR_HOST_DEVICE const std::uint8_t* band(std::int64_t k) const {
    return mask.data + k / per_matrix() * mask.batch_stride + k % per_matrix() * shape.m * mask.row_stride;
  }
  TSENOR_HOST_DEVICE int height(std::int64_t k) const {
    const std::int64_t left = mask.rows - k % per_matrix() * shape.m;
    return left < shape.m ? static_cast<int>(left) : shape.m;
  }
  /// Whether a row or column that keeps `kept` weights breaks the constraint, in a tile of `height` x `width`.
  TSENOR_HOST_DEVICE bool breaks(int kept, int height, int width) const {
    return kept > shape.n || (exactly && kept < shape.n && height == shape.m && width == shape.m);
  }
};

inline status check_mask_arguments(pattern p, const matrix_view<const std::uint8_t>& mask,
                                   const mask_violations* result, constraint kept, edge at_edge) {
  options asked;
  asked.constraint = kept;
  asked.edge = at_edge;
  if (const status s = check_pattern(p); !s) return s;
  if (const status s = check_options(asked); !s) return s;
  if (const status s = check_view(mask.data, 1, 1, mask.rows, mask.cols, mask.row_stride, mask.batch, mask.batch_stride,
                                  "the mask is null: give a pointer to a byte for each weight");
      !s)
    return s;
  if (const status s = check_divisible(mask.rows, mask.cols, p.m, at_edge); !s) return s;
  if (const status s = check_pointer(result, alignof(mask_violations),
                                     "the result is null or not aligned: give a pointer to one mask_violations");
      !s)
    return s;
  const std::int64_t size = extent(mask.rows, mask.cols, mask.row_stride, mask.batch, mask.batch_stride);
  if (buffers_overlap(mask.data, 1, size, result, sizeof *result, 1))
    return {status_code::overlapping_buffers, "the result lies within the mask: give it its own memory"};
  return {};
}

inline mask_violations violations_in_tile(const mask_bands& bands, const std::uint8_t* tile, int height, int width) {
  mask_violations found{0, 0};
  int in_column[max_tile] = {};
  for (int i = 0; i < height; ++i) {
    int in_row = 0;
    for (int j = 0; j < width; ++j) {
      const int kept = tile[i * bands.mask.row_stride + j] != 0;
      in_row += kept;
      in_column[j] += kept;
    }
    found.rows += bands.breaks(in_row, height, width);
  }
  for (int j = 0; j < width; ++j) found.cols += bands.breaks(in_column[j], height, width);
  return found;
}

inline mask_violations count_violations(int threads, const mask_bands& bands) {
  constexpr std::int64_t weights_per_part = 1 << 18;  // some 0.1 ms of work, against 0.02 ms to start a thread
  const std::int64_t m = bands.shape.m, cols = bands.mask.cols;
  std::atomic<std::int64_t> rows_broken{0}, cols_broken{0};
  const auto count_bands = [&](std::int64_t begin, std::int64_t end) {
    mask_violations found{0, 0};
    for (std::int64_t k = begin; k < end; ++k) {
      for (std::int64_t j = 0; j < cols; j += m) {
        const int width = static_cast<int>(std::min(m, cols - j));
        const mask_violations tile = violations_in_tile(bands, bands.band(k) + j, bands.height(k), width);
        found.rows += tile.rows;
        found.cols += tile.cols;
      }
    }
    rows_broken += found.rows;
    cols_broken += found.cols;
  };
  const std::int64_t bands_per_part = cols == 0 ? 1 : std::max<std::int64_t>(1, weights_per_part / m / cols);
  parallel_for(threads, bands.count(), bands_per_part, count_bands);
  return {rows_broken, cols_broken};
}

}  // namespace detail

/// Counts the rows and columns of tiles in which a mask breaks its pattern, on the CPU.
///
/// \param executor the threads to use; the result does not depend on them
/// \param p        the pattern N:M
/// \param mask     `[batch, rows, cols]` bytes; any value but 0 means "kept". Read only.
/// \param result   one struct, written before the call returns; must not be null
/// \param kept     constraint::at_most: a row or column that keeps more than N breaks the pattern;
///                 constraint::exactly: one that keeps any number but N does
/// \param at_edge  edge::partial accepts rows and columns that are no multiple of M: the smaller tiles at the right
///                 and bottom edge may keep at most N, whatever `kept` says
/// \return an error, and `*result` untouched, for an unsupported pattern, bad sizes or strides, a null or misaligned
///         pointer, a `result` within the mask, negative threads, or a size that is no multiple of M under
///         edge::reject. An empty mask has no violations; its pointer may be null.
///
/// Deterministic. Cost: one pass over the mask; memory O(threads). Thread-safe.
///
/// \code
/// tsenor::mask_violations found;
/// const tsenor::pattern p{8, 16};
/// const tsenor::status s = tsenor::check_mask(tsenor::cpu_executor{}, p, {mask, rows, cols}, &found);
/// if (s.ok() && found.rows + found.cols > 0) std::puts("this mask is not transposable 8:16");
/// \endcode
inline status check_mask(cpu_executor executor, pattern p, matrix_view<const std::uint8_t> mask,
                         mask_violations* result, constraint kept = constraint::at_most, edge at_edge = edge::reject) {
  if (const status s = detail::check_threads(executor.threads); !s) return s;
  if (const status s = detail::check_mask_arguments(p, mask, result, kept, at_edge); !s) return s;
  *result = detail::count_violations(executor.threads, {mask, p, kept == constraint::exactly});
  return {};
}

/// The same with the pattern as template arguments: `check_mask<8, 16>(cpu, {mask, rows, cols}, &found)`. An
/// unsupported pattern does not compile.
template <int N, int M>
status check_mask(cpu_executor executor, matrix_view<const std::uint8_t> mask, mask_violations* result,
                  constraint kept = constraint::at_most, edge at_edge = edge::reject) {
  static_assert(is_supported({N, M}), "unsupported pattern N:M: choose 1 <= N <= M and 2 <= M <= 64");
  return check_mask(executor, pattern{N, M}, mask, result, kept, at_edge);
}

}  // namespace tsenor
