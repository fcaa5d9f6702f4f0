/// \file
/// The structure that the pruners give a layer.
#pragma once

#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor::prune {

/// Which weights of an M x M tile may be kept together.
enum class structure {
  transposable,    ///< N in every row and every column, by find_mask
  row_wise,        ///< standard N:M: the best N in every row; the columns are free
  row_then_column  ///< the best N in each row, then of these at most the best N in each column; greedy
};

/// The structure, and the options of the search for a transposable mask.
struct sparsity {
  prune::structure structure = prune::structure::transposable;
  /// `method`, `constraint` and its parameters are for structure::transposable; `edge` is for all. `start` is set by
  /// the pruners themselves.
  tsenor::options search;
};

/// A pattern that the compiler knows. A pruner then compiles one kernel; with a tsenor::pattern it compiles one for
/// each lane width. `prune::magnitude(prune::static_pattern<16, 32>{}, ...)`.
template <int N, int M>
struct static_pattern {
  static_assert(is_supported(pattern{N, M}), "tsenor: unsupported pattern N:M: choose 1 <= N <= M and 2 <= M <= 64");
  constexpr operator pattern() const { return {N, M}; }
};

}  // namespace tsenor::prune
