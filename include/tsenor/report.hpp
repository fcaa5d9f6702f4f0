/// \file
/// Reports about solved tiles, the same for every method.
#pragma once

#include <cstdint>

namespace tsenor {

/// Bits of tile_report::flags.
enum report_flag : std::uint32_t {
  report_partial_tile = 1u,     ///< a smaller tile at the edge of the matrix: solved under at-most-N
  report_replaced_inputs = 2u,  ///< NaN, negative or infinite importances were replaced
};

/// The report of one tile. Tiles are numbered row-major within a matrix, matrix after matrix:
/// `(b * ceil(rows / M) + tile_row) * ceil(cols / M) + tile_col`.
struct tile_report {
  /// Importance kept: the sum of the original (unscaled) importances of the mask. If it has to be rounded, it is
  /// rounded up, by less than 2^-44 of it. At most the largest double, and the one before it beside a greater bound.
  double value;
  /// No mask of this tile under its constraint keeps more, in exact arithmetic, unless that is beyond the largest
  /// double. The gap is bound - value; it is 0 only if the mask is proved to be the best.
  double bound;
  std::int32_t iterations;  ///< Dykstra iterations, or vertices settled by the searches for shortest paths
  std::int32_t moves;       ///< swaps after the greedy rounding, or augmenting paths (0 for 4x4 tiles)
  std::int32_t replaced;  ///< importances that were NaN or negative (counted as 0) or infinite (as the largest finite)
  std::uint32_t flags;    ///< report_flag bits
};

/// The sum over many tiles, from summarize().
struct report_summary {
  double value;             ///< sum of the tiles' values, rounded up
  double bound;             ///< sum of the tiles' bounds, rounded up; above the value if that of any tile is
  double worst_gap;         ///< the largest bound - value of a tile
  std::int64_t worst_tile;  ///< the first tile with that gap, -1 if there are none
  std::int64_t tiles;       ///< number of tiles
  std::int64_t moves;       ///< sum of the tiles' moves
  std::int64_t replaced;    ///< sum of the tiles' replaced importances
};

}  // namespace tsenor
