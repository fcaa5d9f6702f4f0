/// \file
/// The pruners in double, written from the papers' equations and for small layers: no blocks, no eigenvectors, every
/// inverse by elimination.
#pragma once

#include <cstdint>
#include <vector>

#include "matrix.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tsenor_test {

using byte_mask = std::vector<std::uint8_t>;

/// What is asked of a pruner.
struct reference_case {
  tsenor::pattern nm;
  tsenor::prune::structure structure = tsenor::prune::structure::transposable;
};

/// The mask of the largest importance that has the structure.
byte_mask best_mask(const reference_case& c, const matrix& importance);

/// The relative error of the layer's outputs: tr((V - W) G (V - W)^T) / tr(W G W^T).
double relative_error(const matrix& w, const matrix& v, const matrix& gram);

struct reference_result {
  byte_mask mask;
  matrix weights;
};

reference_result reference_magnitude(const reference_case& c, const matrix& w);
reference_result reference_wanda(const reference_case& c, const matrix& w, const matrix& gram);
reference_result reference_sparsegpt(const reference_case& c, const matrix& w, const matrix& gram, std::int64_t tokens);
reference_result reference_alps(const reference_case& c, const matrix& w, const matrix& gram, int iterations);

}  // namespace tsenor_test
