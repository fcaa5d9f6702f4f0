/// \file
/// The optimum of small tiles by comparing every mask.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// Every feasible mask of a pattern with m <= 4, and the best of them for given importances. Importances are not
/// negative, so a mask that can keep one more entry is no better than with it, in any arithmetic that rounds in order;
/// it is counted alone.
class brute_force {
 public:
  brute_force(tsenor::pattern p, tsenor::constraint c) : m_(p.m) {
    assert(p.m <= 4);
    for (std::uint32_t mask = 0; mask < 1u << (m_ * m_); ++mask) {
      if (!is_feasible(mask, p.n, c)) continue;
      feasible_++;
      if (!can_grow(mask, p.n, c)) largest_.push_back(mask);
    }
  }

  /// The largest importance that a feasible mask keeps, in the arithmetic of `T`; `importance` is `[m, m]`.
  template <class T>
  T optimum(const T* importance) const {
    T best = 0;
    for (std::uint32_t mask : largest_) {
      T value = 0;
      for (int k = 0; k < m_ * m_; ++k) value += (mask >> k & 1) ? importance[k] : T(0);
      best = std::max(best, value);
    }
    return best;
  }

  std::size_t feasible_masks() const { return feasible_; }

 private:
  bool is_feasible(std::uint32_t mask, int n, tsenor::constraint c) const {
    for (int line = 0; line < m_; ++line) {
      int row = 0, col = 0;
      for (int k = 0; k < m_; ++k) {
        row += mask >> (line * m_ + k) & 1;
        col += mask >> (k * m_ + line) & 1;
      }
      if (row > n || col > n) return false;
      if (c == tsenor::constraint::exactly && (row != n || col != n)) return false;
    }
    return true;
  }

  bool can_grow(std::uint32_t mask, int n, tsenor::constraint c) const {
    for (int k = 0; k < m_ * m_; ++k)
      if (!(mask >> k & 1) && is_feasible(mask | 1u << k, n, c)) return true;
    return false;
  }

  int m_;
  std::size_t feasible_ = 0;
  std::vector<std::uint32_t> largest_;
};

}  // namespace tsenor_test
