/// \file
/// The pruners in double, written from the papers' equations and for small layers: no blocks, no eigenvectors, every inverse by
/// elimination.
#pragma once

#include <cstdint>
#include <vector>

#include "tsenor/pattern.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tsenor_test {

/// A dense row-major matrix.
struct matrix {
  std::int64_t rows = 0, cols = 0;
  std::vector<double> data;

  matrix() = default;
  matrix(std::int64_t rows_, std::int64_t cols_) : rows(rows_), cols(cols_), data(rows_ * cols_, 0.) {}
  matrix(std::int64_t rows_, std::int64_t cols_, const std::vector<float>& values)
      : rows(rows_), cols(cols_), data(values.begin(), values.end()) {}

  double& operator()(std::int64_t i, std::int64_t j) { return data[i * cols + j]; }
  double operator()(std::int64_t i, std::int64_t j) const { return data[i * cols + j]; }
};

using byte_mask = std::vector<std::uint8_t>;

matrix product(const matrix& a, const matrix& b);
matrix transposed(const matrix& a);
/// By Gauss and Jordan's elimination with pivots.
matrix inverse(const matrix& a);

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
