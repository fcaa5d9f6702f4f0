/// \file
/// What a tile's mask keeps, and what the best one would, without any rounding.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "brute_force.hpp"
#include "certificate.hpp"
#include "lemon_optimum.hpp"
#include "tsenor/report.hpp"

namespace tsenor_test {

__extension__ typedef __int128 int128;

/// The importances of a tile as integers, in a unit that is a power of two.
class exact_tile {
 public:
  /// Throws if the sums of these numbers need more than 126 bits.
  explicit exact_tile(const std::vector<double>& importance) {
    int least = 2000, most = -2000;
    for (const double x : importance) {
      if (x == 0) continue;
      int last = std::ilogb(x) - 52;
      while (std::fmod(x, std::ldexp(1.0, last + 1)) == 0) ++last;
      least = std::min(least, last);
      most = std::max(most, std::ilogb(x));
    }
    if (most - least > 113) throw std::invalid_argument("importances too far apart for sums of 126 bits");
    unit_ = least == 2000 ? 0 : least;
    for (const double x : importance) weights_.push_back(floor_of(x));
  }

  const std::vector<int128>& weights() const { return weights_; }
  /// Rounded down to the unit, so that x >= n units if and only if floor_of(x) >= n.
  int128 floor_of(double x) const {
    int exponent = 0;
    const auto digits = static_cast<std::int64_t>(std::ldexp(std::frexp(x, &exponent), 53));
    const int shift = exponent - 53 - unit_;
    return shift >= 0 ? int128(digits) << shift : shift > -64 ? int128(digits) >> -shift : 0;
  }
  int128 kept(const std::uint8_t* mask) const {
    int128 sum = 0;
    for (std::size_t k = 0; k < weights_.size(); ++k) sum += mask[k] ? weights_[k] : 0;
    return sum;
  }
  /// So many units, for messages and tolerances.
  double about(int128 units) const { return std::ldexp(double(units), unit_); }

 private:
  int unit_ = 0;
  std::vector<int128> weights_;
};

/// All masks of a pattern, found once.
inline const brute_force& masks_of(tsenor::pattern nm, tsenor::constraint kept) {
  static std::map<std::array<int, 3>, brute_force> all;
  return all.try_emplace({nm.n, nm.m, int(kept)}, nm, kept).first->second;
}

/// The most that a mask of a tile can keep, if an oracle can say so exactly: all masks are compared up to 4x4, LEMON
/// solves larger tiles whose weights have no more than 48 bits.
inline std::optional<int128> exact_optimum(const tile_problem& tile, const exact_tile& exact) {
  const tsenor::constraint kept = tile.at_most() ? tsenor::constraint::at_most : tsenor::constraint::exactly;
  if (tile.nm.m <= 4 && tile.rows == tile.nm.m && tile.cols == tile.nm.m)
    return masks_of(tile.nm, kept).optimum(exact.weights().data());
#if defined(TSENOR_HAVE_LEMON)
  std::vector<std::int64_t> weights;
  for (const int128 w : exact.weights()) {
    if (w >> 48 != 0) return {};
    weights.push_back(std::int64_t(w));
  }
  return lemon_optimum(tile.rows, tile.cols, tile.nm.n, kept).solve_integers(weights.data());
#else
  return {};
#endif
}

/// How far the optimal method's mask may be from the best, see "What is guaranteed" in include/tsenor/REFERENCE.md:
/// `share` of the optimum at M = 4; else, of the power of two that is not above the largest importance, for each entry
/// that only one of both masks keeps.
inline double optimal_tolerance(const tile_problem& tile, double optimum, double share) {
  if (tile.nm.m == 4) return share * optimum;
  const double largest = *std::max_element(tile.importance, tile.importance + tile.rows * tile.cols);
  const int entries = 2 * tile.nm.n * std::min(tile.rows, tile.cols);
  return largest > 0 ? entries * std::ldexp(share, std::ilogb(largest)) : 0;
}

/// The report of a tile is true: value and bound enclose what they should, and bound = value only where the mask is
/// optimal. With `share` the mask is also as good as optimal_tolerance says.
inline void expect_true(const tile_problem& tile, const std::uint8_t* mask, const tsenor::tile_report& report,
                        std::optional<double> share = {}) {
  const exact_tile exact({tile.importance, tile.importance + tile.rows * tile.cols});
  const int128 kept = exact.kept(mask);
  EXPECT_GE(exact.floor_of(report.value), kept) << "the value is below what is kept";
  EXPECT_LE(report.value, exact.about(kept) * (1 + 0x1p-43));
  EXPECT_GE(report.bound, report.value);
  EXPECT_TRUE(std::isfinite(report.bound));
  const std::optional<int128> optimum = exact_optimum(tile, exact);
  if (!optimum) return;
  EXPECT_GE(exact.floor_of(report.bound), *optimum) << "bound " << report.bound << " is below the optimum by "
                                                    << exact.about(*optimum - exact.floor_of(report.bound));
  if (report.bound == report.value) {
    EXPECT_TRUE(kept == *optimum) << "a gap of 0, and a better mask";
  }
  if (share) {
    EXPECT_LE(exact.about(*optimum - kept), optimal_tolerance(tile, exact.about(*optimum), *share));
  }
}

}  // namespace tsenor_test
