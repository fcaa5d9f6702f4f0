/// \file
/// Calls of find_mask on the CPU for tests that only look at the results.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "checker.hpp"
#include "tsenor/cpu_executor.hpp"
#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/status.hpp"

namespace tsenor_test {

/// find_mask's run-time entry with the default importance. Most tests go through it: it is compiled once, in solve.cpp,
/// since the code for all tile widths takes a compiler minutes.
template <class T>
tsenor::status find_any(tsenor::cpu_executor executor, tsenor::pattern p, tsenor::matrix_view<const T> weights,
                        const tsenor::mask_outputs<T>& out, const tsenor::options& opts = {});

/// What a call gave for a dense matrix.
struct solution {
  std::int64_t rows = 0, cols = 0;
  std::vector<std::uint8_t> mask;
  std::vector<tsenor::tile_report> reports;

  /// Room for an `m`-tiled matrix; a mask byte that is not written is not feasible.
  solution(int m, std::int64_t rows_, std::int64_t cols_)
      : rows(rows_), cols(cols_), mask(rows * cols, 255), reports(tiles_along(rows, m) * tiles_along(cols, m)) {}

  tsenor::matrix_view<const std::uint8_t> view() const { return {mask.data(), rows, cols}; }
  double value() const {
    return std::accumulate(reports.begin(), reports.end(), 0.0, [](double s, const auto& r) { return s + r.value; });
  }
};

/// Calls `find(outputs)` with a solution's buffers; a status other than success fails the test.
template <class T, class Find>
solution solve_with(int m, std::int64_t rows, std::int64_t cols, Find find) {
  solution s(m, rows, cols);
  tsenor::mask_outputs<T> out;
  out.mask = s.mask.data();
  out.reports = s.reports.data();
  const tsenor::status done = find(out);
  EXPECT_TRUE(done.ok()) << done.message() << " (" << done.observed() << ", " << done.required() << ")";
  return s;
}

/// Solves the dense `[rows, cols]` matrix `weights` with two threads.
inline solution solve(tsenor::pattern p, const std::vector<float>& weights, std::int64_t rows, std::int64_t cols,
                      const tsenor::options& opts = {}) {
  return solve_with<float>(p.m, rows, cols, [&](const auto& out) {
    return find_any<float>(tsenor::cpu_executor{2}, p, {weights.data(), rows, cols}, out, opts);
  });
}

/// Tiles one below the other: `[tiles * m, m]`, so that tile t of the call is the t-th m * m entries.
inline solution solve_tiles(tsenor::pattern p, const std::vector<float>& tiles, const tsenor::options& opts = {}) {
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
