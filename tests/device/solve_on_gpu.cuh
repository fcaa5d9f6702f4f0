/// \file
/// find_mask on the GPU for the device tests, all outputs in guarded memory.
#pragma once

#include <cuda_runtime.h>

#include <cstring>
#include <vector>

#include "case.hpp"
#include "support/device_buffer.cuh"
#include "tsenor/status.hpp"

namespace tsenor_test {

/// find_mask with a run-time pattern, by magnitude. Compiled once, in find_mask_float.cu, as all of its kernels take a
/// while.
tsenor::status find_mask_float(tsenor::pattern nm, tsenor::matrix_view<const float> weights,
                               tsenor::mask_outputs<float> out, const tsenor::options& opts,
                               cudaStream_t stream = nullptr);

/// Weights and all outputs of a call on the device.
template <class T>
struct device_call {
  device_call(const layout& l, const std::vector<T>& host_weights)
      : where(l),
        weights(host_weights),
        mask(l.elements()),
        packed(l.packed_bytes()),
        pruned(l.elements()),
        reports(l.tiles()) {}

  tsenor::matrix_view<const T> input() const { return where.view(static_cast<const T*>(weights.data())); }
  tsenor::mask_outputs<T> outputs() const {
    return outputs_at(where, mask.data(), packed.data(), pruned.data(), reports.data());
  }
  /// What has been written, after all work on the device.
  solution_of<T> result() const { return {mask.read(), packed.read(), pruned.read(), reports.read()}; }
  bool outputs_untouched() const {
    return mask.untouched() && packed.untouched() && pruned.untouched() && reports.untouched();
  }

  layout where;
  device_buffer<T> weights;
  device_buffer<std::uint8_t> mask, packed;
  device_buffer<T> pruned;
  device_buffer<tsenor::tile_report> reports;
};

/// The same call without reports, with pruned weights or for masks alone, has kernels of its own, and must give the
/// same, bit for bit.
inline void expect_same_without_reports(const layout& l, const std::vector<float>& weights, const tsenor::options& opts,
                                        cudaStream_t stream, const solution_of<float>& expected) {
  for (const bool masks_only : {false, true}) {
    const device_call<float> call(l, weights);
    auto out = call.outputs();
    out.reports = nullptr;
    if (masks_only) out.pruned = nullptr;
    const tsenor::status done = find_mask_float(l.nm, call.input(), out, opts, stream);
    EXPECT_TRUE(done.ok()) << done.message() << " (" << done.observed() << ")";
    const auto s = call.result();
    EXPECT_EQ(s.mask, expected.mask);
    EXPECT_EQ(s.packed, expected.packed);
    EXPECT_TRUE(call.reports.untouched());
    if (masks_only)
      EXPECT_TRUE(call.pruned.untouched());
    else
      EXPECT_EQ(std::memcmp(s.pruned.data(), expected.pruned.data(), s.pruned.size() * sizeof(float)), 0);
  }
}

/// Solves by magnitude; a status other than success fails the test, and so does a result that does not hold together.
inline solution_of<float> solve_on_gpu(const layout& l, const std::vector<float>& weights, const tsenor::options& opts,
                                       cudaStream_t stream = nullptr) {
  const device_call<float> call(l, weights);
  const tsenor::status done = find_mask_float(l.nm, call.input(), call.outputs(), opts, stream);
  EXPECT_TRUE(done.ok()) << done.message() << " (" << done.observed() << ")";
  auto s = call.result();
  expect_consistent(l, weights, s, opts.constraint, poison);
  expect_same_without_reports(l, weights, opts, stream, s);
  return s;
}

}  // namespace tsenor_test
