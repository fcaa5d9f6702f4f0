// How a batch of matrices falls into tiles.
#pragma once

#include <cstdint>

#include "tsenor/detail/config.hpp"

namespace tsenor::detail {

// A number to divide by. Where all dividends are below 2^31 by a multiplication, with the factor 2^(31 + s) / value
// rounded up, where 2^s >= value (Granlund and Montgomery, PLDI 1994), since a division takes a GPU as long as a small
// tile's sweep.
class divisor {
 public:
  struct result {
    std::int64_t whole, rest;
  };
  struct small_result {
    std::uint32_t whole, rest;
  };

  divisor(std::int64_t value, std::int64_t dividends) : value_(value) {
    if (value < 1 || value > dividends || dividends >> 31 != 0) return;
    while ((std::int64_t{1} << (shift_ - 31)) < value) shift_++;
    factor_ = std::uint32_t(((std::uint64_t{1} << shift_) - 1) / std::uint64_t(value) + 1);
  }
  TSENOR_HOST_DEVICE std::int64_t value() const { return value_; }
  // 0 <= x < dividends
  TSENOR_HOST_DEVICE result divide(std::int64_t x) const {
    if (factor_ == 0) return {x / value_, x % value_};
    const small_result r = divide_small(std::uint32_t(x));
    return {r.whole, r.rest};
  }
  // The same where all dividends are below 2^31.
  TSENOR_HOST_DEVICE small_result divide_small(std::uint32_t x) const {
    const std::uint32_t whole = std::uint32_t(std::uint64_t(x) * factor_ >> shift_);
    return {whole, x - whole * std::uint32_t(value_)};
  }

 private:
  std::int64_t value_;
  std::uint32_t factor_ = 0;
  int shift_ = 31;
};

// The tiles of a batch of matrices, numbered row-major within a matrix, matrix after matrix.
struct tiling {
  std::int64_t rows, cols;       // of a matrix
  divisor tile_rows, tile_cols;  // of a matrix
  std::int64_t tiles;            // of all matrices

  bool is_small() const { return tiles >> 31 == 0; }
};

inline tiling tiles_of(std::int64_t rows, std::int64_t cols, std::int64_t batch, int side) {
  const std::int64_t down = rows / side + (rows % side != 0), across = cols / side + (cols % side != 0);
  const auto tiles =
      std::int64_t(std::uint64_t(batch) * std::uint64_t(down) * std::uint64_t(across));  // not checked yet
  return {rows, cols, divisor(down, tiles), divisor(across, tiles), tiles};
}

// Where a tile lies.
struct tile_position {
  std::int64_t batch, row, col;  // of its first element
  std::int64_t tile_col;
  int rows, cols;  // M, or less at the edge
  bool exists;     // lanes past the last tile solve it again and store nothing

  TSENOR_HOST_DEVICE bool partial(int side) const { return rows < side || cols < side; }
};

TSENOR_HOST_DEVICE inline tile_position position_of(const tiling& grid, int side, std::int64_t tile) {
  const std::int64_t last = grid.tiles - 1;
  const divisor::result across = grid.tile_cols.divide(tile < last ? tile : last),
                        down = grid.tile_rows.divide(across.whole);
  const std::int64_t row = down.rest * side, col = across.rest * side, rows = grid.rows - row, cols = grid.cols - col;
  return {down.whole,  row, col, across.rest, int(rows < side ? rows : side), int(cols < side ? cols : side),
          tile <= last};
}

// The same where all tiles are whole and fewer than 2^31, so that 32 bits hold what code for them has to keep: of a tile
// that exists, and of any.
TSENOR_HOST_DEVICE inline tile_position position_of_whole(const tiling& grid, int side, std::uint32_t tile) {
  const divisor::small_result across = grid.tile_cols.divide_small(tile),
                              down = grid.tile_rows.divide_small(across.whole);
  return {down.whole, std::int64_t(down.rest) * side, std::int64_t(across.rest) * side, across.rest, side, side, true};
}
TSENOR_HOST_DEVICE inline tile_position position_of_whole_or_none(const tiling& grid, int side, std::uint32_t tile) {
  const std::uint32_t last = std::uint32_t(grid.tiles) - 1;
  tile_position at = position_of_whole(grid, side, tile < last ? tile : last);
  at.exists = tile <= last;
  return at;
}

}  // namespace tsenor::detail
