/// \file
/// What is known about each solved tile, the same for every method.
#pragma once

#include <cstdint>

namespace tsenor {

/// Bits of tile_report::flags.
enum report_flag : std::uint32_t {
  report_partial_tile = 1u,     ///< a smaller tile at the edge of the matrix: solved under at-most-N
  report_replaced_inputs = 2u,  ///< NaN, negative or infinite importances were replaced
};

/// One tile. Tiles are numbered row-major within a matrix, matrix after matrix:
/// `(b * ceil(rows / M) + tile_row) * ceil(cols / M) + tile_col`.
struct tile_report {
  double value;             ///< importance kept: the sum, in double, of the original (unscaled) importances of the mask
  double bound;             ///< no mask of this tile under its constraint keeps more; bound - value is the gap
  std::int32_t iterations;  ///< Dykstra iterations, or vertices settled by the searches for shortest paths
  std::int32_t moves;       ///< swaps after the greedy rounding, or augmenting paths (0 for 4x4 tiles solved whole)
  std::int32_t replaced;  ///< importances that were NaN or negative (counted as 0) or infinite (as the largest finite)
  std::uint32_t flags;    ///< report_flag bits
};

/// The sum over many tiles, from summarize().
struct report_summary {
  double value;             ///< sum of the tiles' values
  double bound;             ///< sum of the tiles' bounds
  double worst_gap;         ///< the largest bound - value of a tile
  std::int64_t worst_tile;  ///< the first tile with that gap, -1 if there are none
  std::int64_t tiles;       ///< number of tiles
  std::int64_t moves;       ///< sum of the tiles' moves
  std::int64_t replaced;    ///< sum of the tiles' replaced importances
};

}  // namespace tsenor
