/// \file
/// The patterns and structures that the pruners are tested with.
#pragma once

#include <string>
#include <vector>

#include "reference.hpp"

namespace tsenor_test {

namespace prune = tsenor::prune;

inline std::string name_of(prune::structure s) {
  switch (s) {
    case prune::structure::transposable:
      return "transposable";
    case prune::structure::row_wise:
      return "row_wise";
    case prune::structure::row_then_column:
      break;
  }
  return "row_then_column";
}

inline const std::vector<reference_case>& reference_cases() {
  using prune::structure;
  static const std::vector<reference_case> cases = {
      {{2, 4}, structure::transposable}, {{2, 4}, structure::row_wise},        {{2, 4}, structure::row_then_column},
      {{4, 8}, structure::transposable}, {{4, 8}, structure::row_then_column},
  };
  return cases;
}

inline std::string label(const reference_case& c) {
  return std::to_string(c.nm.n) + ":" + std::to_string(c.nm.m) + " " + name_of(c.structure);
}

}  // namespace tsenor_test
