/// \file
/// The golden set: tiles with known optima, see tests/golden/README.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "npy.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// One file set. Its name is distribution_N_M.
struct golden_name {
  std::string stem;
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
inline std::vector<golden_name> golden_names(const std::string& folder) {
  const std::string suffix = ".weights.npy";
  std::vector<golden_name> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (file.size() <= suffix.size() || file.substr(file.size() - suffix.size()) != suffix) continue;
    const std::string stem = file.substr(0, file.size() - suffix.size());
    const std::size_t m_at = stem.rfind('_'), n_at = stem.rfind('_', m_at - 1);
    names.push_back({stem, stem.substr(0, n_at), {std::stoi(stem.substr(n_at + 1)), std::stoi(stem.substr(m_at + 1))}});
  }
  if (names.empty()) throw std::runtime_error("no golden tiles in " + folder);
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.stem < b.stem; });
  return names;
}

inline golden_set read_golden(const std::string& folder, const golden_name& name) {
  const std::string base = folder + "/" + name.stem;
  npy_array<float> weights = read_npy<float>(base + ".weights.npy");
  golden_set set{name, weights.shape.at(0), std::move(weights.data),
                 read_npy<double>(base + ".optimum_exactly.npy").data,
                 read_npy<double>(base + ".optimum_at_most.npy").data};
  const std::size_t tiles = static_cast<std::size_t>(set.tiles);
  if (set.weights.size() != tiles * name.p.m * name.p.m || set.optimum_exactly.size() != tiles ||
      set.optimum_at_most.size() != tiles) {
    throw std::runtime_error("shapes do not agree: " + base);
  }
  return set;
}

}  // namespace tsenor_test
