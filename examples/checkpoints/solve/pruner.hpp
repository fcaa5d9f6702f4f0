/// \file
/// The other step that differs between the machines: from a layer to its pruned weights.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "settings.hpp"

namespace tool {

/// A layer in memory, weights `[outputs, inputs]`.
struct layer_data {
  std::string name;  ///< different for every matrix of a checkpoint
  std::int64_t rows = 0, cols = 0;
  std::vector<float> weights;  ///< [rows, cols], pruned in place
  std::vector<float> gram;     ///< [cols, cols], or empty
};

struct pruning {
  std::vector<std::uint8_t> mask;  ///< [rows, cols], 1 where the weight is kept
  std::optional<double> error;     ///< of the layer's outputs, where gram is known and there is a GPU
  int dead_inputs = 0;
  int iterations = 0;  ///< of alps
  double seconds = 0, prepare_seconds = 0;
};

class pruner {
 public:
  virtual ~pruner() = default;
  virtual const char* device() const = 0;
  /// Throws failure.
  virtual pruning prune(layer_data& l, tsenor::pattern nm, const tsenor::prune::sparsity& rule, const settings& s) = 0;
};

/// Magnitude and wanda; settings that ask for another method are a failure(exit_code::device).
std::unique_ptr<pruner> make_cpu_pruner(const settings& s);

/// Null where no CUDA device can be used; `why_not` then says why and what to do.
std::unique_ptr<pruner> make_cuda_pruner(std::string& why_not);

}  // namespace tool
