/// \file
/// A picture of one tile: its importances, the published method's plan, and the mask that was found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan.hpp"
#include "solver.hpp"

namespace tool {

/// What is drawn of a tile. Matrices are dense, `[rows, cols]`; at the edge of a matrix these can be fewer than M.
struct tile_picture {
  int rows = 0, cols = 0;
  tsenor::pattern pattern;
  std::vector<double> importance;  ///< as fractions of the largest
  std::vector<double> plan;        ///< the entropic plan, 0 to 1
  std::vector<std::uint8_t> mask;  ///< 1 where the weight is kept
  double kept = 0;                 ///< fraction of the tile's importance
};

/// Throws failure(exit_code::usage) unless there is one thing to draw: one matrix, and in it the tile.
void check_picture(const plan& work, const settings& s);

/// Cuts the tile out of the matrix of `t` and its solution, and computes its plan: that of options::published(), which is
/// min(1, exp((w + u + v) / tau)) with the prices u, v that the published method returns under constraint::exactly.
tile_picture make_picture(matrix& m, const task& t, const solution& found, const settings& s);

/// An SVG of three panels. The first two shade cells, the last marks kept ones; at its right and bottom stand the numbers
/// of weights kept in each row and column, beside the plan its sums.
std::string svg_of(const tile_picture& picture, const task& t, const settings& s);

}  // namespace tool
