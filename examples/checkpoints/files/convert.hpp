/// \file
/// The layers of a checkpoint that are pruned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "settings.hpp"
#include "tensor_file.hpp"

namespace tool {

struct layer {
  tensor_entry weights;
  std::optional<tensor_entry> gram;
};

struct layer_plan {
  std::vector<layer> layers;
  std::vector<std::string> skipped;  ///< one line for each 2-D tensor of weights that is left as it is
};

/// What --select names has to fit, else failure(exit_code::input); of the other tensors, those that do not fit are skipped.
/// `gram` may be null.
layer_plan find_layers(input_file& in, input_file* gram, const settings& s);

/// The weights of a matrix from floats, rounded to its own type.
void from_floats(const std::vector<float>& values, matrix& m);

}  // namespace tool
