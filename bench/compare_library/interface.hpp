/// \file
/// What `bench/compare` calls through Python's ctypes: C functions over find_mask and the peers that are compiled.
/// Each returns null, or static text that says what was wrong.
#pragma once

#include <cstdint>

#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"

extern "C" {

enum weight_format { float32_weights, float16_weights, bfloat16_weights };

/// A call of find_mask on dense matrices `[batch, rows, cols]`; comparison/library.py has the same fields in the same
/// order. Outputs that are null are not wanted.
struct mask_request {
  const void* weights;
  std::uint8_t* mask;
  void* pruned;
  float* prices;
  std::int64_t batch, rows, cols;
  double tau;
  std::int32_t format;  ///< weight_format
  std::int32_t n, m;
  std::int32_t method, constraint;  ///< the values of the library's enums
  std::int32_t iterations, local_search_steps;
};

}  // extern "C"

namespace tsenor_bench {

inline tsenor::options options_of(const mask_request& r) {
  tsenor::options o;
  o.method = static_cast<tsenor::method>(r.method);
  o.constraint = static_cast<tsenor::constraint>(r.constraint);
  o.iterations = r.iterations;
  o.tau = r.tau;
  o.local_search_steps = r.local_search_steps;
  return o;
}

template <class Weight>
tsenor::matrix_view<const Weight> weights_of(const mask_request& r) {
  return {static_cast<const Weight*>(r.weights), r.rows, r.cols, r.cols, r.batch, r.rows * r.cols};
}

template <class Weight>
tsenor::mask_outputs<Weight> outputs_of(const mask_request& r) {
  tsenor::mask_outputs<Weight> out;
  out.mask = r.mask;
  out.pruned = static_cast<Weight*>(r.pruned);
  out.prices = r.prices;
  return out;
}

/// Static text for ctypes; null if all went well.
inline const char* text_of(const tsenor::status& s) { return s.ok() ? nullptr : s.message(); }

}  // namespace tsenor_bench
