/// \file
/// What a weight is worth to the operators: one functor, so that there is one solver to compile.
#pragma once

#include <cmath>
#include <cstdint>

#include "tsenor/detail/config.hpp"

namespace tsenor_torch {

/// Magnitude; times the norm of its column, or row, where there are norms; or, of importances, the value itself.
struct worth {
  bool as_it_is;
  const float* norms;  // null: all 1
  bool of_rows;        // as the columns of a transposed matrix are
  template <class T>
  TSENOR_HOST_DEVICE T operator()(T value, std::int64_t row, std::int64_t col, std::int64_t) const {
    if (as_it_is) return value;
    const T magnitude = std::fabs(value);
    return norms ? magnitude * T(norms[of_rows ? row : col]) : magnitude;
  }
};

}  // namespace tsenor_torch
