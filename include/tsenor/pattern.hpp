/// \file
/// The sparsity pattern N:M.
#pragma once

namespace tsenor {

/// A transposable N:M pattern as a run-time value: every tile of m x m weights keeps n in each row and each column.
/// Supported are 2 <= m <= 64 and 1 <= n <= m; m need not be a power of two.
struct pattern {
  int n = 0;  ///< weights kept in every row and in every column of a tile
  int m = 0;  ///< side of a tile
};

inline constexpr int min_tile = 2;   ///< smallest supported M
inline constexpr int max_tile = 64;  ///< largest supported M

/// Whether `p` is one of the 2,079 supported patterns.
constexpr bool is_supported(pattern p) { return p.m >= min_tile && p.m <= max_tile && p.n >= 1 && p.n <= p.m; }

}  // namespace tsenor
