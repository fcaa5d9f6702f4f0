/// \file
/// Which tensors of a checkpoint are pruned, and why the others stay as they are.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "dense_rule.hpp"
#include "name_filter.hpp"
#include "pattern_rules.hpp"
#include "tensor.hpp"
#include "tsenor/options.hpp"

namespace tool {

struct selected_tensor {
  tensor_entry tensor;
  tsenor::pattern pattern;
};

/// A tensor that is left as it is.
struct dense_tensor {
  tensor_entry tensor;
  std::string reason;
};

struct selection {
  std::vector<selected_tensor> chosen;
  std::vector<dense_tensor> dense;
  std::vector<std::string> notes;  ///< what a reader may not expect of the chosen ones, each in a line
};

struct selection_rule {
  pattern_rules patterns;
  tsenor::edge edge = tsenor::edge::reject;
  const name_filter* select = nullptr;                ///< of the names to prune; null: the rule of dense_by_default.txt
  bool one_matrix = false;                            ///< of an .npy file, which is meant whatever it is called
  std::set<std::string> masks;                        ///< types of masks that will do
  const std::map<std::string, std::string>* remarks;  ///< of the checkpoint
  const name_filter* transposed = nullptr;            ///< a note says where it matches nothing, or seems to be missing
  bool sided = false;                                 ///< inputs and outputs are not treated alike
  /// What else speaks against a tensor, or nothing.
  std::function<std::string(const tensor_entry&)> objection = [](const tensor_entry&) { return std::string(); };
};

/// Every tensor is either chosen or dense with a reason.
selection sort_tensors(const std::vector<tensor_entry>& tensors, const selection_rule& rule);

/// The same; nothing chosen is a failure(exit_code::input) that names the file and gives the reasons.
selection select_tensors(const std::string& file, const std::vector<tensor_entry>& tensors, const selection_rule& rule);

/// Adds what is dense or noted in `one`, each thing once, to a selection that stands for several.
void add_rest(selection& all, const selection& one);

/// The reasons, each with the names of its tensors: "1-D: \"norm\" and 64 more". In the order in which they first
/// appear.
std::vector<std::string> grouped(const std::vector<dense_tensor>& dense);

}  // namespace tool
