/// \file
/// One call of find_mask on the CPU for tests that only look at the results.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "checker.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {

/// What a call gave for a dense matrix.
struct solution {
  std::int64_t rows = 0, cols = 0;
  std::vector<std::uint8_t> mask;
  std::vector<tsenor::tile_report> reports;

  tsenor::matrix_view<const std::uint8_t> view() const { return {mask.data(), rows, cols}; }
  double value() const {
    return std::accumulate(reports.begin(), reports.end(), 0.0, [](double s, const auto& r) { return s + r.value; });
  }
  double bound() const {
    return std::accumulate(reports.begin(), reports.end(), 0.0, [](double s, const auto& r) { return s + r.bound; });
  }
};

/// Solves the dense `[rows, cols]` matrix `weights` with two threads; a status other than success fails the test.
template <class T, class Importance = tsenor::magnitude>
solution solve(tsenor::pattern p, const std::vector<T>& weights, std::int64_t rows, std::int64_t cols,
               tsenor::options opts = {}, Importance importance = {}) {
  solution s;
  s.rows = rows;
  s.cols = cols;
  s.mask.assign(weights.size(), 255);  // what is not written is not feasible
  s.reports.resize(tiles_along(rows, p.m) * tiles_along(cols, p.m));
  tsenor::mask_outputs<T> out;
  out.mask = s.mask.data();
  out.reports = s.reports.data();
  const tsenor::status done = find_mask(
      tsenor::cpu_executor{2}, p, tsenor::matrix_view<const T>(weights.data(), rows, cols), out, opts, importance);
  EXPECT_TRUE(done.ok()) << done.message() << " (" << done.observed() << ", " << done.required() << ")";
  return s;
}

/// Tiles one below the other: `[tiles * m, m]`, so that tile t of the call is the t-th m * m entries.
template <class T>
solution solve_tiles(tsenor::pattern p, const std::vector<T>& tiles, tsenor::options opts = {}) {
  return solve(p, tiles, static_cast<std::int64_t>(tiles.size()) / p.m, p.m, opts);
}

/// The options of the published method under a constraint.
inline tsenor::options published_options(tsenor::constraint c) {
  tsenor::options opts = tsenor::options::published();
  opts.constraint = c;
  return opts;
}

inline constexpr tsenor::constraint both_constraints[] = {tsenor::constraint::exactly, tsenor::constraint::at_most};

}  // namespace tsenor_test
