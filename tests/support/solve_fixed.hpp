/// \file
/// solve() for a pattern known when compiling, any weight type and any importance.
#pragma once

#include <cstdint>
#include <vector>

#include "solve.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {

/// Solves the dense `[rows, cols]` matrix `weights` with two threads.
template <int N, int M, class T, class Importance = tsenor::magnitude>
solution solve_fixed(const std::vector<T>& weights, std::int64_t rows, std::int64_t cols,
                     const tsenor::options& opts = {}, Importance importance = {}) {
  return solve_with<T>(M, rows, cols, [&](const auto& out) {
    const tsenor::matrix_view<const T> view(weights.data(), rows, cols);
    return tsenor::find_mask<N, M>(tsenor::cpu_executor{2}, view, out, opts, importance);
  });
}

}  // namespace tsenor_test
