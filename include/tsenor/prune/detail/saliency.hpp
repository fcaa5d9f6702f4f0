// The one importance of all pruners, and where it puts the weights of dead inputs: below all others, by magnitude.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "tsenor/detail/config.hpp"

namespace tsenor::prune::detail {

// Of a tile's importances, find_mask tells those apart that are 2^-25 of the largest. A dead input's factor is this
// share of the smallest factor of a live one: the choice between dead weights is left 11 bits, and what it may cost the
// live ones in a transposable mask is below 2^-14 of their importance. In rows, where weights are only compared, it
// costs nothing.
//
// `smallest` is no_factor where no input is live.
inline constexpr float no_factor = std::numeric_limits<float>::max();
TSENOR_HOST_DEVICE inline float factor_of_dead(float smallest, bool squares) {
  return smallest == no_factor ? -1.f : smallest * (squares ? -0x1p-7f : -0x1p-14f);
}

// |w| times its column's factor, or the square of that. One functor, so that all pruners share find_mask's kernels.
struct saliency {
  const float* factors = nullptr;  // [cols]; null: all are 1. The sign does not matter
  bool squares = false;
  const float* dead = nullptr;  // [cols], negative for a dead input; null: there is none

  template <class T>
  TSENOR_HOST_DEVICE T operator()(T weight, std::int64_t, std::int64_t col, std::int64_t) const {
    const T scaled = std::fabs(factors != nullptr ? weight * T(factors[col]) : weight);
    return squares ? scaled * scaled : scaled;
  }

  // By what weights of a row, or of a column, are compared: numbers below 0 for dead ones, in the order of `worth`,
  // which is clean.
  template <class T>
  TSENOR_HOST_DEVICE T rank(T worth, std::int64_t col) const {
    constexpr T smallest = sizeof(T) == sizeof(float) ? T(0x1p-126) : T(0x1p-1022);  // its inverse is finite
    if (dead == nullptr || !(dead[col] < 0)) return worth;
    return -1 / (worth > smallest ? worth : smallest);
  }
};

}  // namespace tsenor::prune::detail
