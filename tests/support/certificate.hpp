/// \file
/// An independent judge of certificates: from weights, mask and prices alone it says, in double, whether a tile's mask
/// is the optimum. Shares no code with the library.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "checker.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// A tile of `rows` x `cols`; one smaller than m x m keeps at most n, whatever `kept` says.
struct tile_problem {
  tsenor::pattern nm;
  tsenor::constraint kept;
  int rows, cols;
  const double* importance;  ///< `[rows, cols]`

  bool at_most() const { return kept == tsenor::constraint::at_most || rows < nm.m || cols < nm.m; }
};

/// What a mask keeps, and what its prices prove.
struct certificate {
  double value = 0;   ///< importance that the mask keeps
  double bound = 0;   ///< by weak duality no mask of the tile keeps more
  double limit = 0;   ///< what bound - value may be in a tile that counts as solved
  std::string error;  ///< why it is no certificate of an optimum; empty if it is one
};

/// How far a bound may lie above the value: what solving in 25 bits of the largest weight can leave.
inline double gap_limit(double value, int m, double largest) {
  return std::max(1e-5 * value, m * m * std::ldexp(largest, -25));
}

/// -N (sum u + sum v) + sum max(0, w_ij + u_i + v_j).
template <class Price>
double bound_of_prices(const tile_problem& tile, const Price* u, const Price* v) {
  double priced = 0, bound = 0;
  for (int i = 0; i < tile.rows; ++i) priced += double(u[i]);
  for (int j = 0; j < tile.cols; ++j) priced += double(v[j]);
  for (int i = 0; i < tile.rows; ++i)
    for (int j = 0; j < tile.cols; ++j)
      bound += std::max(0.0, tile.importance[i * tile.cols + j] + double(u[i]) + double(v[j]));
  return bound - tile.nm.n * priced;
}

/// What is wrong with the prices of one side, of which `used` of m belong to the tile; empty if nothing is.
template <class Price>
std::string error_in_prices(const char* name, const Price* prices, int used, const tile_problem& tile) {
  for (int k = 0; k < tile.nm.m; ++k) {
    const std::string at = name + ("[" + std::to_string(k)) + "] = " + std::to_string(prices[k]);
    if (!std::isfinite(prices[k])) return at + " is not finite";
    if (k >= used && prices[k] != 0) return at + " belongs to no line of the tile, yet is not 0";
    if (tile.at_most() && prices[k] > 0) return at + " is positive, which bounds nothing under at most N";
  }
  return "";
}

/// Judges a tile. `mask` is `[rows, cols]`; `prices` are the m row prices, then the m column prices.
template <class Price>
certificate judge(const tile_problem& tile, const std::uint8_t* mask, const Price* prices) {
  const int m = tile.nm.m;
  const std::size_t entries = std::size_t(tile.rows) * std::size_t(tile.cols);
  certificate result;
  result.value = kept_value(tile.importance, mask, entries);
  result.bound = bound_of_prices(tile, prices, prices + m);
  result.limit = gap_limit(result.value, m, *std::max_element(tile.importance, tile.importance + entries));
  result.error = violation_in_tile(mask, tile.cols, {0, tile.rows}, {0, tile.cols}, tile.nm,
                                   tile.at_most() ? tsenor::constraint::at_most : tile.kept);
  if (result.error.empty()) result.error = error_in_prices("u", prices, tile.rows, tile);
  if (result.error.empty()) result.error = error_in_prices("v", prices + m, tile.cols, tile);
  if (!result.error.empty()) return result;
  if (!(result.bound >= result.value * (1 - 1e-6))) result.error = "the bound is below the value";
  if (!(result.bound - result.value <= result.limit)) result.error = "the bound is too far above the value";
  return result;
}

/// For EXPECT_TRUE: the verdict in a form that explains itself.
inline testing::AssertionResult holds(const certificate& c) {
  if (c.error.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << c.error << " (value " << c.value << ", bound - value " << c.bound - c.value
                                     << ", limit " << c.limit << ")";
}

}  // namespace tsenor_test
