/// \file
/// The pruners on the GPU, without a word of PyTorch, so that nvcc need not read its headers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tsenor/matrix_view.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/prune/handles.cuh"
#include "tsenor/prune/sparsity.hpp"
#include "tsenor/status.hpp"

namespace tsenor_torch {

/// A layer that is pruned in place.
struct prune_request {
  tsenor::pattern pattern;
  tsenor::prune::sparsity rule;
  float* weights = nullptr;
  std::int64_t rows = 0, cols = 0, row_stride = 0;
  std::uint8_t* mask = nullptr;  // [rows, cols]
  tsenor::prune::handles on;
};

struct sparsegpt_parameters {
  std::int64_t tokens = 1;
  double damping = 0.01;
};

/// Each function is that of tsenor/prune/ with the same name. Those ending with _memory say how many bytes of workspace
/// it takes.
tsenor::status magnitude(const prune_request& r);
tsenor::status wanda(const prune_request& r, const float* gram, float* norms);
tsenor::status sparsegpt_memory(const prune_request& r, const sparsegpt_parameters& p, std::size_t* bytes);
tsenor::status sparsegpt(const prune_request& r, const float* gram, const sparsegpt_parameters& p,
                         tsenor::prune::workspace memory);
std::size_t alps_inputs_size(std::int64_t inputs);
tsenor::status alps_prepare_memory(const tsenor::prune::handles& on, std::int64_t inputs, std::size_t* bytes);
tsenor::status alps_prepare(const tsenor::prune::handles& on, const float* gram, std::int64_t inputs, void* to,
                            tsenor::prune::workspace memory, double damping);
tsenor::status alps_memory(const prune_request& r, std::size_t* bytes);
tsenor::status alps(const prune_request& r, void* inputs, int most_iterations, tsenor::prune::workspace memory,
                    int* iterations);
tsenor::status accumulate_gram(const tsenor::prune::handles& on, tsenor::matrix_view<const float> inputs, float* gram);

}  // namespace tsenor_torch
