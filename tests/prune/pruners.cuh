/// \file
/// The pruners on the GPU for 2:4 and 4:8, compiled once for all tests, and a layer in guarded device memory.
#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cases.hpp"
#include "layer_data.hpp"
#include "support/device_buffer.cuh"
#include "tsenor/prune/alps.cuh"
#include "tsenor/prune/gram.cuh"
#include "tsenor/prune/layer_error.cuh"
#include "tsenor/prune/sparsegpt.cuh"

namespace tsenor_test {

tsenor::status call_magnitude(tsenor::pattern nm, tsenor::matrix_view<const float> w, prune::outputs<float> out,
                              const prune::sparsity& rule, cudaStream_t stream);
tsenor::status call_wanda(tsenor::pattern nm, tsenor::matrix_view<const float> w, const float* gram, float* norms,
                          prune::outputs<float> out, const prune::sparsity& rule, cudaStream_t stream);
tsenor::status call_sparsegpt(const prune::handles& on, tsenor::pattern nm, tsenor::matrix_view<const float> w,
                              const float* gram, prune::outputs<float> out, prune::workspace memory,
                              const prune::sparsegpt_options& options, prune::sparsegpt_report* report);
tsenor::status call_alps(const prune::handles& on, tsenor::pattern nm, tsenor::matrix_view<const float> w,
                         prune::alps_inputs inputs, prune::outputs<float> out, prune::workspace memory,
                         const prune::alps_options& options, prune::alps_report* report);

/// Handles on a stream of their own.
class device_handles {
 public:
  device_handles() {
    if (cublasCreate(&on_.blas) != CUBLAS_STATUS_SUCCESS || cusolverDnCreate(&on_.solver) != CUSOLVER_STATUS_SUCCESS)
      throw std::runtime_error("no cuBLAS or cuSOLVER handle");
    on_.stream = stream_;
    cublasSetStream(on_.blas, stream_);
    cusolverDnSetStream(on_.solver, stream_);
  }
  ~device_handles() {
    cublasDestroy(on_.blas);
    cusolverDnDestroy(on_.solver);
  }
  device_handles(const device_handles&) = delete;
  device_handles& operator=(const device_handles&) = delete;
  operator const prune::handles&() const { return on_; }
  const prune::handles* operator->() const { return &on_; }

 private:
  device_stream stream_;
  prune::handles on_;
};

/// A layer on the device, and room for a pruner's outputs.
struct device_layer {
  explicit device_layer(const layer_data& l)
      : data(l), weights(l.weights), gram(l.gram), pruned(l.weights.size()), mask(l.weights.size()), norms(l.cols) {}

  tsenor::matrix_view<const float> view() const { return {weights.data(), data.rows, data.cols}; }
  prune::outputs<float> outputs() const {
    prune::outputs<float> out;
    out.pruned = pruned.data();
    out.mask = mask.data();
    return out;
  }
  pruned_layer result() const { return {mask.read(), pruned.read()}; }
  bool untouched() const { return mask.untouched() && pruned.untouched(); }

  const layer_data& data;
  device_buffer<float> weights, gram, pruned;
  device_buffer<std::uint8_t> mask;
  device_buffer<float> norms;
};

/// The weights are those of the reference, but for rounding, and so is the mask.
inline void expect_same(const layer_data& l, const pruned_layer& found, const reference_result& expected,
                        double tolerance) {
  std::int64_t differences = 0;
  for (std::size_t k = 0; k < expected.mask.size(); ++k) differences += found.mask[k] != expected.mask[k];
  ASSERT_EQ(differences, 0) << "of " << expected.mask.size() << " weights in the mask";
  double largest = 0;
  for (const double x : expected.weights.data) largest = std::max(largest, std::fabs(x));
  for (std::size_t k = 0; k < found.weights.size(); ++k) {
    ASSERT_NEAR(found.weights[k], expected.weights.data[k], tolerance * largest) << "weight " << k;
    if (found.mask[k] == 0) {
      ASSERT_EQ(found.weights[k], 0.f) << "weight " << k;
      ASSERT_FALSE(std::signbit(found.weights[k])) << "weight " << k;
    }
  }
  static_cast<void>(l);
}

/// Exactly the workspace that sparsegpt asks for.
device_buffer<std::uint8_t> sparsegpt_memory(const prune::handles& on, tsenor::pattern nm, const layer_data& l,
                                             const prune::sparsegpt_options& options = {});

/// sparsegpt with exactly the workspace that it asks for.
pruned_layer run_sparsegpt(const reference_case& c, const layer_data& l, prune::sparsegpt_report* report = nullptr,
                           int block = 32);

/// alps_prepare and alps with exactly the workspace that they ask for.
pruned_layer run_alps(const reference_case& c, const layer_data& l, int iterations,
                      prune::alps_report* report = nullptr, bool until_settled = true);

pruned_layer run_wanda(const reference_case& c, const layer_data& l);

}  // namespace tsenor_test
