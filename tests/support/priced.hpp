/// \file
/// Calls of find_mask that ask for prices, and the verdict on the certificate of every tile.
#pragma once

#include <cstdint>
#include <vector>

#include "certificate.hpp"
#include "solve.hpp"
#include "tsenor/mask_outputs.hpp"

namespace tsenor_test {

/// What a call gave for a dense matrix of `Weight`.
template <class Weight>
struct priced_solution : solution {
  using price = tsenor::price_type<Weight>;
  static constexpr price unwritten = price(-77.125);
  std::vector<price> prices;  ///< `[tiles, 2, m]`

  priced_solution(int m, std::int64_t rows_, std::int64_t cols_)
      : solution(m, rows_, cols_), prices(reports.size() * 2 * m, unwritten) {}
};

/// Calls `find(outputs)` with a solution's buffers, whose prices are `start` unless that is empty.
template <class Weight, class Find>
priced_solution<Weight> solve_priced_with(int m, std::int64_t rows, std::int64_t cols,
                                          const std::vector<tsenor::price_type<Weight>>& start, Find find) {
  priced_solution<Weight> s(m, rows, cols);
  if (!start.empty()) s.prices = start;
  tsenor::mask_outputs<Weight> out;
  out.mask = s.mask.data();
  out.reports = s.reports.data();
  out.prices = s.prices.data();
  const tsenor::status done = find(out);
  EXPECT_TRUE(done.ok()) << done.message() << " (" << done.observed() << ", " << done.required() << ")";
  return s;
}

/// Solves the dense `[rows, cols]` matrix `weights` with two threads.
inline priced_solution<float> solve_priced(tsenor::pattern p, const std::vector<float>& weights, std::int64_t rows,
                                           std::int64_t cols, const tsenor::options& opts) {
  return solve_priced_with<float>(p.m, rows, cols, {}, [&](const auto& out) {
    return find_any<float>(tsenor::cpu_executor{2}, p, {weights.data(), rows, cols}, out, opts);
  });
}

/// The same from prices to start from.
inline priced_solution<float> solve_warm(tsenor::pattern p, const std::vector<float>& weights, std::int64_t rows,
                                         std::int64_t cols, tsenor::options opts, const std::vector<float>& start) {
  opts.start = tsenor::start::warm;
  return solve_priced_with<float>(p.m, rows, cols, start, [&](const auto& out) {
    return find_any<float>(tsenor::cpu_executor{2}, p, {weights.data(), rows, cols}, out, opts);
  });
}

/// Tile by tile, in the order of the reports. `importance` is `[rows, cols]`.
template <class Weight>
std::vector<certificate> judge_tiles(tsenor::pattern nm, tsenor::constraint kept, const std::vector<double>& importance,
                                     const priced_solution<Weight>& s) {
  std::vector<certificate> verdicts;
  for (std::int64_t ti = 0; ti < tiles_along(s.rows, nm.m); ++ti) {
    for (std::int64_t tj = 0; tj < tiles_along(s.cols, nm.m); ++tj) {
      const tile_span rows = span_of_tile(ti, s.rows, nm.m), cols = span_of_tile(tj, s.cols, nm.m);
      std::vector<double> w;
      std::vector<std::uint8_t> mask;
      for (std::int64_t i = rows.begin; i < rows.end; ++i) {
        w.insert(w.end(), &importance[i * s.cols + cols.begin], &importance[i * s.cols] + cols.end);
        mask.insert(mask.end(), &s.mask[i * s.cols + cols.begin], &s.mask[i * s.cols] + cols.end);
      }
      const tile_problem tile{nm, kept, int(rows.size()), int(cols.size()), w.data()};
      verdicts.push_back(judge(tile, mask.data(), &s.prices[verdicts.size() * 2 * nm.m]));
    }
  }
  return verdicts;
}

/// Expects every tile to be the optimum, with a report that says the same.
template <class Weight>
void expect_certified(tsenor::pattern nm, tsenor::constraint kept, const std::vector<double>& importance,
                      const priced_solution<Weight>& s) {
  const std::vector<certificate> verdicts = judge_tiles(nm, kept, importance, s);
  for (std::size_t t = 0; t < verdicts.size(); ++t) {
    EXPECT_TRUE(holds(verdicts[t])) << "tile " << t;
    EXPECT_NEAR(s.reports[t].value, verdicts[t].value, 1e-12 * verdicts[t].value) << "tile " << t;
    EXPECT_NEAR(s.reports[t].bound, verdicts[t].bound, verdicts[t].limit) << "tile " << t;
  }
}

}  // namespace tsenor_test
