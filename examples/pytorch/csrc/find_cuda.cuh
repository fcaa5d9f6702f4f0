/// \file
/// What the GPU's sources instantiate.
#pragma once

#include "find.hpp"
#include "importance.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_torch {

template <class Weight>
tsenor::status find_on_cuda(const request& r, CUstream_st* stream) {
  const tsenor::matrix_view<const Weight> view(static_cast<const Weight*>(r.weights), r.rows, r.cols, r.row_stride,
                                               r.batch, r.batch_stride);
  return tsenor::find_mask(r.pattern, view, outputs_of<Weight>(r), r.options,
                           worth{r.as_it_is, r.norms, r.norms_of_rows}, stream);
}

}  // namespace tsenor_torch
