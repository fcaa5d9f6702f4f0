/// \file
/// What a weight is worth, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "settings.hpp"
#include "tsenor/weight_types.hpp"

namespace tool {

/// The importance of `weight`; NaN counts as 0, infinity as the largest finite value of the weights' arithmetic.
template <class Weight>
double importance_of(Weight weight, importance_choice importance) {
  using arithmetic = decltype(tsenor::detail::to_arithmetic(weight));
  const arithmetic x = std::abs(tsenor::detail::to_arithmetic(weight));
  const double finite = std::isnan(x) ? 0 : std::min(x, std::numeric_limits<arithmetic>::max());
  return importance == importance_choice::squared ? finite * finite : finite;
}

}  // namespace tool
