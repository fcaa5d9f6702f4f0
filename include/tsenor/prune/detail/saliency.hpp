// The one importance of all pruners.
#pragma once

#include <cmath>
#include <cstdint>

#include "tsenor/detail/config.hpp"

namespace tsenor::prune::detail {

// |w| times its column's factor, or the square of that. One functor, so that all pruners share find_mask's kernels.
struct saliency {
  const float* factors = nullptr;  // [cols]; null: all are 1
  bool squares = false;

  template <class T>
  TSENOR_HOST_DEVICE T operator()(T weight, std::int64_t, std::int64_t col, std::int64_t) const {
    const T scaled = std::fabs(weight) * (factors != nullptr ? T(factors[col]) : T(1));
    return squares ? scaled * scaled : scaled;
  }
};

}  // namespace tsenor::prune::detail
