/// \file
/// The published pipeline of arXiv 2505.23949 as plainly as it can be written: the reference against which the
/// library's stages and masks are judged. It shares no code with the library, and works on the plan where the library
/// works on its logarithm: a double has room for exp(1 / tau) and its products at tau = 0.005, not at much smaller ones.
#pragma once

#include <cstdint>
#include <vector>

#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// A rounded tile.
struct reference_rounding {
  std::vector<std::uint8_t> mask;  ///< `[m, m]`, 1 where kept
  double value = 0;                ///< importance kept
  int moves = 0;                   ///< swaps of the local search and of the completion
};

/// A solved tile.
struct reference_tile {
  std::vector<double> plan;  ///< `[m, m]`, the transport plan after the last iteration
  reference_rounding rounding;
};

/// The plan alone: `opts.iterations` rounds of the three projections at temperature `opts.tau` times the largest
/// importance. `importance` is `[m, m]`, finite and >= 0. An all-zero tile gives the uniform plan n / m.
std::vector<double> reference_plan(const double* importance, tsenor::pattern p, const tsenor::options& opts);

/// Greedy selection on a given plan, local search, and under constraint::exactly the completion.
reference_rounding reference_round(const double* importance, const double* plan, tsenor::pattern p,
                                   const tsenor::options& opts);

/// Both, one after the other.
reference_tile reference_published(const double* importance, tsenor::pattern p, const tsenor::options& opts);

}  // namespace tsenor_test
