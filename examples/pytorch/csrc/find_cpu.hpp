/// \file
/// What the CPU's sources instantiate.
#pragma once

#include "find.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_torch {

/// Magnitude, or Wanda's importance where there are norms: one solver to compile for both.
struct maybe_weighted {
  const float* column_norms;
  float operator()(float weight, std::int64_t, std::int64_t col, std::int64_t) const {
    const float magnitude = std::fabs(weight);
    return column_norms ? magnitude * column_norms[col] : magnitude;
  }
};

template <class Weight>
tsenor::status find_on_cpu(const request& r, int threads) {
  const tsenor::matrix_view<const Weight> view(static_cast<const Weight*>(r.weights), r.rows, r.cols, r.row_stride,
                                               r.batch, r.batch_stride);
  return tsenor::find_mask(tsenor::cpu_executor{threads}, r.pattern, view, outputs_of<Weight>(r), r.options,
                           maybe_weighted{r.column_norms});
}

}  // namespace tsenor_torch
