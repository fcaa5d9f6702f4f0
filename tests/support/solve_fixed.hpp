/// \file
/// solve() for a pattern known when compiling, any weight type and an importance of the library's own. The calls of
/// find_mask are compiled once, in solve.cpp, which lists them.
#pragma once

#include <cstdint>
#include <vector>

#include "solve.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor_test {

/// find_mask<N, M>. What solve.cpp does not list does not link.
template <int N, int M, class T, class Importance = tsenor::magnitude>
tsenor::status find_fixed(tsenor::cpu_executor executor, tsenor::matrix_view<const T> weights,
                          const tsenor::mask_outputs<T>& out, const tsenor::options& opts = {},
                          Importance importance = {});

/// Solves the dense `[rows, cols]` matrix `weights` with two threads.
template <int N, int M, class T, class Importance = tsenor::magnitude>
solution solve_fixed(const std::vector<T>& weights, std::int64_t rows, std::int64_t cols,
                     const tsenor::options& opts = {}, Importance importance = {}) {
  return solve_with<T>(M, rows, cols, [&](const auto& out) {
    const tsenor::matrix_view<const T> view(weights.data(), rows, cols);
    return find_fixed<N, M>(tsenor::cpu_executor{2}, view, out, opts, importance);
  });
}

}  // namespace tsenor_test
