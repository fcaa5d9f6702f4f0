/// \file
/// find_mask for one type of weights, without a word of PyTorch, so that the sources that instantiate it, one for each
/// kind of device, compile quickly.
#pragma once

#include <cstdint>

#include "tsenor/mask_outputs.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/report.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

struct CUstream_st;

namespace tsenor_torch {

/// A call; what is null is not wanted.
struct request {
  tsenor::pattern pattern;
  tsenor::options options;
  void* weights = nullptr;
  std::int64_t batch = 1, rows = 0, cols = 0, batch_stride = 0, row_stride = 0;  // of the weights, in elements
  tsenor::output_buffer<std::uint8_t> mask;
  bool prune = false;  // the weights in place
  tsenor::tile_report* reports = nullptr;
  void* prices = nullptr;        // of tsenor::price_type<Weight>
  bool as_it_is = false;         // the weights are importances, and taken as they are; see importance.hpp
  const float* norms = nullptr;  // null: magnitude, else Wanda's importance
  bool norms_of_rows = false;
};

template <class Weight>
tsenor::mask_outputs<Weight> outputs_of(const request& r) {
  tsenor::mask_outputs<Weight> out;
  out.mask = r.mask;
  if (r.prune) out.pruned = {static_cast<Weight*>(r.weights), r.row_stride, r.batch_stride};
  out.reports = r.reports;
  out.prices = static_cast<tsenor::price_type<Weight>*>(r.prices);
  return out;
}

/// On so many threads.
template <class Weight>
tsenor::status find_on_cpu(const request& r, int threads);

template <class Weight>
tsenor::status find_on_cuda(const request& r, CUstream_st* stream);

}  // namespace tsenor_torch
