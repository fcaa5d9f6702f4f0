/// \file
/// The golden set: tiles with known optima, see tests/golden/README.md.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// One distribution of one pattern.
struct golden_name {
  std::string stem;  ///< distribution_N_M
  std::string distribution;
  tsenor::pattern p;
};

inline void PrintTo(const golden_name& name, std::ostream* out) { *out << name.stem; }

struct golden_set {
  golden_name name;
  std::int64_t tiles = 0;
  std::vector<float> weights;  ///< `[tiles, M, M]`, >= 0: as a matrix `[tiles * M, M]`, tile t is the t-th of the call
  std::vector<double> optimum_exactly, optimum_at_most;  ///< `[tiles]`

  const std::vector<double>& optimum(tsenor::constraint c) const {
    return c == tsenor::constraint::exactly ? optimum_exactly : optimum_at_most;
  }
};

/// All sets in `folder`, in the order of their names. Throws std::runtime_error if there is none.
std::vector<golden_name> golden_names(const std::string& folder);

/// Throws std::runtime_error for a file that is not whole.
golden_set read_golden(const std::string& folder, const golden_name& name);

}  // namespace tsenor_test
