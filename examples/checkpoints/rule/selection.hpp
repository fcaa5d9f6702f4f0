/// \file
/// Which tensors of the input are solved, and which are left as they are.
#pragma once

#include <string>
#include <vector>

#include "settings.hpp"
#include "tensor_file.hpp"

namespace tool {

struct task {
  tensor_entry tensor;
  tsenor::pattern pattern;
  tsenor::options options;
};

struct skipped_tensor {
  tensor_entry tensor;
  tsenor::pattern pattern;
  std::string reason;
};

struct plan {
  std::vector<task> tasks;
  std::vector<skipped_tensor> skipped;
};

/// Every selected tensor with every pattern and method. What the user named himself (an .npy file, a tensor that --select matches)
/// has to fit: else failure(exit_code::input). Of the other tensors, 2-D ones that do not fit are listed as skipped.
plan make_plan(const input_file& file, const std::vector<tensor_entry>& tensors, const settings& s);

}  // namespace tool
