/// \file
/// What the pruners are asked for, and every check of it: the same on the CPU, on the GPU and for fakes.
#pragma once

#include <string>

#include "arguments.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tsenor_torch {

struct pruning {
  std::int64_t n, m;
  std::string structure, method, constraint, edge;
};

/// Throws ValueError for a word that is not known.
tsenor::prune::sparsity sparsity_of(const pruning& p);

/// What alps_inputs returns has so many bytes: a little more than tsenor::prune::alps_inputs_size.
c10::SymInt alps_inputs_bytes(c10::SymInt inputs);

/// All that magnitude_, wanda_ and sparsegpt_ take. Throws ValueError, TypeError, or, for tensors on several devices,
/// RuntimeError; the others too.
void check_prune(const Tensor& weight, const optional_tensor& gram, const pruning& p, std::int64_t tokens = 1,
                 double damping = 0.01);
void check_gram(const Tensor& gram, const Tensor& inputs);
void check_alps_inputs(const Tensor& gram, double damping);
void check_alps(const Tensor& weight, const Tensor& inputs, const pruning& p, std::int64_t iterations);

}  // namespace tsenor_torch
