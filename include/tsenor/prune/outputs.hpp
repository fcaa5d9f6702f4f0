/// \file
/// Where the pruners write.
#pragma once

#include <cstdint>

#include "tsenor/mask_outputs.hpp"

namespace tsenor::prune {

/// The outputs of a pruner for weights `[rows, cols]`. Neither may be null, and neither may overlap anything else that
/// the pruner takes, but for `pruned` in place; strides as output_buffer has them.
template <class Weight>
struct outputs {
  /// `[rows, cols]`: the weight that the layer now has, +0.0 where it is pruned. Disjoint from the weights, or the very
  /// same pointer and stride (in place).
  output_buffer<Weight> pruned;
  /// `[rows, cols]`: 1 where the weight is kept, else 0.
  output_buffer<std::uint8_t> mask;
};

}  // namespace tsenor::prune
