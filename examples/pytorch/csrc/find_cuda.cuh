/// \file
/// What the GPU's sources instantiate.
#pragma once

#include "find.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_torch {

template <class Weight, class Importance>
tsenor::status find_on_cuda(const request& r, const Importance& importance, cudaStream_t stream) {
  const tsenor::matrix_view<const Weight> view(static_cast<const Weight*>(r.weights), r.rows, r.cols, r.row_stride,
                                               r.batch, r.batch_stride);
  return tsenor::find_mask(r.pattern, view, outputs_of<Weight>(r), r.options, importance, stream);
}

template <class Weight>
tsenor::status find_by_magnitude_on_cuda(const request& r, CUstream_st* stream) {
  return find_on_cuda<Weight>(r, tsenor::magnitude{}, stream);
}
template <class Weight>
tsenor::status find_by_wanda_on_cuda(const request& r, CUstream_st* stream) {
  return find_on_cuda<Weight>(r, tsenor::wanda{r.column_norms}, stream);
}

}  // namespace tsenor_torch
