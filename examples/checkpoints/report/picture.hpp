/// \file
/// A picture of one tile: its importances, the published method's plan, and the mask that was found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "selection.hpp"
#include "solver.hpp"

namespace tool {

/// What is drawn of a tile. Matrices are dense, `[rows, cols]`; at the edge of a matrix these can be fewer than M.
struct tile_picture {
  int rows = 0, cols = 0;
  tsenor::pattern pattern;
  std::vector<float> importance;   ///< as fractions of the largest
  std::vector<double> plan;        ///< the entropic plan, 0 to 1
  std::vector<std::uint8_t> mask;  ///< 1 where the weight is kept
  double kept = 0;                 ///< fraction of the tile's importance
};

/// An SVG of the tile that `s` asks for, of three panels: importances; the plan of options::published(), which is
/// min(1, exp((w + u + v) / tau)) with the prices u, v that the published method returns under constraint::exactly; the
/// mask by the first of the methods. A tile that is not there, or a tensor that is no single matrix, is a
/// failure(exit_code::usage).
std::string draw_tile(const checkpoint& in, const selected_tensor& t, solver& machine, const settings& s);

/// The same from its parts. The first two panels shade cells, the last marks kept ones; at its right and bottom stand
/// the numbers of weights kept in each row and column, beside the plan its sums.
std::string svg_of(const tile_picture& picture, const selected_tensor& t, const settings& s);

}  // namespace tool
