/// \file
/// What a mask is worth, and how it is printed.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "convert.hpp"
#include "selection.hpp"
#include "settings.hpp"
#include "solver.hpp"

namespace tool {

/// One solved tensor, added up over its blocks. All numbers are finite.
struct result {
  tensor_entry tensor;
  tsenor::pattern pattern;
  tsenor::method method = tsenor::method::optimal;
  tsenor::constraint constraint = tsenor::constraint::exactly;
  double total = 0;  ///< importance of all weights
  double value = 0;  ///< importance kept
  double bound = 0;  ///< no mask keeps more
  std::int64_t violations = 0;
  std::int64_t replaced = 0;  ///< weights that were NaN or infinite
  double seconds = 0;

  double kept() const { return total > 0 ? value / total : 1; }
  double gap() const { return value > 0 ? (bound - value) / value : 0; }
};

/// What a weight is worth, in double; NaN counts as 0, infinity as the largest finite value of the weights' arithmetic.
template <class Weight>
double importance_of(Weight weight, importance_choice importance) {
  using arithmetic = decltype(tsenor::detail::to_arithmetic(weight));
  const arithmetic x = std::abs(tsenor::detail::to_arithmetic(weight));
  const double finite = std::isnan(x) ? 0 : std::min(x, std::numeric_limits<arithmetic>::max());
  return importance == importance_choice::squared ? finite * finite : finite;
}

/// The importance of all weights and of those that the mask keeps.
struct importance_sums {
  double total = 0, kept = 0;
};
importance_sums sums_of(const matrix& m, const std::vector<std::uint8_t>& mask, importance_choice importance);

/// Adds a block, with the exponent of the floats that were solved. Throws failure(exit_code::input) where a sum leaves
/// the range of double.
void add(result& r, const matrix& m, int exponent, const solution& found, importance_choice importance);

/// One object a line, or a table for people.
void print(const std::vector<result>& results, const settings& s, const char* device);

}  // namespace tool
