/// \file
/// Where find_mask writes: caller-owned buffers, each of them optional.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tsenor/report.hpp"

namespace tsenor {

/// One output buffer. Null means that the output is not wanted; a stride of 0 means dense. Converts from a pointer.
template <class T>
struct output_buffer {
  T* data = nullptr;              ///< the first element; null: not wanted
  std::int64_t row_stride = 0;    ///< elements from a row to the next; 0: as many as a row has
  std::int64_t batch_stride = 0;  ///< elements from a matrix to the next; 0: rows * row_stride

  constexpr output_buffer() = default;
  /// Dense, unless strides are given.
  constexpr output_buffer(T* data_, std::int64_t row_stride_ = 0, std::int64_t batch_stride_ = 0)
      : data(data_), row_stride(row_stride_), batch_stride(batch_stride_) {}
};

/// The type of mask_outputs::prices: double for double weights, else float.
template <class Weight>
using price_type = std::conditional_t<std::is_same_v<Weight, double>, double, float>;

/// The outputs of find_mask for weights `[batch, rows, cols]` of type `Weight`. At least one must not be null. No two
/// outputs may overlap, from first to last element. No output may overlap wanda::column_norms or the weights; only
/// `pruned` may be the weights, as said there. Each pointer is aligned to its element. Padding between rows is not
/// written. No output depends on which others are wanted. Where M is not 4, prices are stored in the middle of their
/// ranges, and reports are made of prices elsewhere in them: the bound that follows from stored prices may have other
/// last digits.
template <class Weight>
struct mask_outputs {
  /// `[batch, rows, cols]`: 1 where the weight is kept, else 0.
  output_buffer<std::uint8_t> mask;

  /// `[batch, rows, ceil(cols / M)]` words. A word is the part of a matrix row that lies in one tile: bit k (with value
  /// 1 << k) stands for the tile's column k, and unused bits are 0. A word is uint8_t for M <= 8, uint16_t for M <= 16,
  /// uint32_t for M <= 32, else uint64_t; strides count words. For M = 8, 16, 32, 64 on a little-endian machine these
  /// are the bytes of `numpy.packbits(mask, axis=-1, bitorder='little')`.
  output_buffer<void> packed;

  /// `[batch, rows, cols]`: the weight where it is kept, else +0.0. Either disjoint from the input or the very same
  /// pointer with the same strides (pruning in place).
  output_buffer<Weight> pruned;

  /// One tile_report for each tile, `batch * ceil(rows / M) * ceil(cols / M)` in all, dense, in the order that
  /// tile_report documents.
  tile_report* reports = nullptr;

  /// `[tiles, 2, M]`, dense, tiles in the order of `reports`. Each tile has the prices u of its M rows, then the prices
  /// v of its M columns, in units of importance. They are a certificate that anyone can check. With w the importances
  /// of the tile, every mask S of the tile obeys
  ///
  ///     sum_ij w_ij S_ij <= -N (sum_i u_i + sum_j v_j) + sum_ij max(0, w_ij + u_i + v_j),
  ///
  /// With method::optimal the right side is the value of the mask, up to rounding. Prices are also rounded to this
  /// type; the report's bound comes from the prices before that. If a row or column may keep fewer than N
  /// (constraint::at_most, smaller tiles at the edge), no price is positive. Rows and columns beyond a smaller tile
  /// have price 0.
  ///
  /// Under start::warm, find_mask reads the prices first, so masks of slightly changed weights cost less. The buffer
  /// may hold anything: a tile with a price that is not finite starts cold. Tiles of M = 4 always start cold, which is
  /// as fast.
  price_type<Weight>* prices = nullptr;
};

}  // namespace tsenor
