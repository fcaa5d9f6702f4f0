/// \file
/// What stays dense unless it is asked for: the rule of dense_by_default.txt.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tensor.hpp"

namespace tool {

class dense_rule {
 public:
  /// For a checkpoint of these tensors.
  explicit dense_rule(const std::vector<tensor_entry>& tensors);

  /// What the tensor is ("an embedding"), if it is one of those that stay dense by default.
  std::optional<std::string> operator()(const tensor_entry& tensor) const;

 private:
  std::set<std::string> with_experts_;  // what stands before a part that is an expert's, or a router
};

}  // namespace tool
