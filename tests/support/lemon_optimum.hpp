/// \file
/// The optimum of a tile by LEMON's network simplex. Compiled where LEMON is found (TSENOR_HAVE_LEMON).
#pragma once

#include <cstdint>
#include <memory>

#include "tsenor/options.hpp"

namespace tsenor_test {

/// Solves many tiles of one shape: the graph is built once, each tile only rewrites its costs. Costs are importances
/// divided by the tile's largest and rounded to multiples of 2^-40. Not for use from two threads at once.
class lemon_optimum {
 public:
  /// Tiles of `rows` x `cols` that keep `n` (exactly: square tiles only) or at most `n` in each row and column.
  lemon_optimum(int rows, int cols, int n, tsenor::constraint c);
  ~lemon_optimum();

  /// The largest importance that a mask can keep, summed in double. `importance` is `[rows, cols]`, finite and >= 0;
  /// `mask`, unless null, receives the mask that keeps it. `T` is float or double.
  template <class T>
  double solve(const T* importance, std::uint8_t* mask = nullptr);

  /// The same of integers below 2^48, exactly.
  std::int64_t solve_integers(const std::int64_t* importance);

 private:
  struct network;
  std::unique_ptr<network> network_;
};

}  // namespace tsenor_test
