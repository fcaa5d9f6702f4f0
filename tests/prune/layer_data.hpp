/// \file
/// A layer for the pruners' tests, on the host.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "reference.hpp"

namespace tsenor_test {

/// Weights, and inputs that have something to do with each other.
struct layer_data {
  std::int64_t rows, cols, tokens;
  std::vector<float> weights, inputs, gram;  // [rows, cols], [tokens, cols], [cols, cols]

  layer_data(std::int64_t rows_, std::int64_t cols_, std::int64_t tokens_, unsigned seed)
      : rows(rows_), cols(cols_), tokens(tokens_), weights(rows * cols), inputs(tokens * cols) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& w : weights) w = 0.05f * normal(random);
    for (std::int64_t t = 0; t < tokens; ++t) {
      float common = normal(random);
      for (std::int64_t j = 0; j < cols; ++j) {
        common = 0.8f * common + 0.6f * normal(random);  // neighbours are correlated
        inputs[t * cols + j] = common * (0.5f + static_cast<float>(j % 7));
      }
    }
    make_gram();
  }

  void make_gram() {
    gram.assign(cols * cols, 0.f);
    for (std::int64_t i = 0; i < cols; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        double sum = 0;
        for (std::int64_t t = 0; t < tokens; ++t) sum += double(inputs[t * cols + i]) * inputs[t * cols + j];
        gram[i * cols + j] = static_cast<float>(sum);
      }
    }
  }

  /// The inputs `first` to `end` are always `x`.
  void kill(std::int64_t first, std::int64_t end, float x) {
    for (std::int64_t t = 0; t < tokens; ++t)
      for (std::int64_t j = first; j < end; ++j) inputs[t * cols + j] = x;
    make_gram();
  }

  matrix w() const { return {rows, cols, weights}; }
  matrix g() const { return {cols, cols, gram}; }
};

/// What a pruner left behind.
struct pruned_layer {
  byte_mask mask;
  std::vector<float> weights;
  matrix v(const layer_data& l) const { return {l.rows, l.cols, weights}; }
};

}  // namespace tsenor_test
