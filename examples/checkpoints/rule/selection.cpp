#include "plan.hpp"

#include <algorithm>

#include "command_line.hpp"

namespace tool {
namespace {

// Why the tensor cannot be pruned and what to do about it; empty if it can.
std::string objection(const tensor_entry& tensor, tsenor::pattern pattern, tsenor::edge edge) {
  const auto& shape = tensor.shape;
  if (shape.size() != 2)
    return "has " + std::to_string(shape.size()) + " dimensions (" + shape_text(shape) +
           "); only 2-D ones can be pruned, reshape it";
  if (shape[0] == 0 || shape[1] == 0) return "is empty (" + shape_text(shape) + "); there is nothing to prune";
  if (!tensor.type) return "holds " + in_quotes(tensor.dtype) + "; only F16, BF16 and F32 can be pruned, convert it";
  const auto m = static_cast<std::uint64_t>(pattern.m);
  if (edge == tsenor::edge::reject && (shape[0] % m != 0 || shape[1] % m != 0))
    return "has a side that is no multiple of " + std::to_string(m) + " (" + shape_text(shape) +
           "); use --edge partial, or another M";
  return "";
}

// The tensors that the user names, or the 2-D ones if he names none.
std::vector<tensor_entry> candidates(const input_file& file, const std::vector<tensor_entry>& tensors,
                                     const settings& s) {
  if (s.kind == file_kind::npy) return tensors;
  std::vector<tensor_entry> chosen;
  if (s.select) {
    const name_filter select(*s.select);
    std::copy_if(tensors.begin(), tensors.end(), std::back_inserter(chosen),
                 [&](const auto& t) { return select.matches(t.name); });
    if (chosen.empty())
      throw file.problem("has no tensor with a name that --select " + in_quotes(*s.select) + " matches; change it");
    return chosen;
  }
  const auto is_matrix = [](const auto& t) { return t.shape.size() == 2; };
  std::copy_if(tensors.begin(), tensors.end(), std::back_inserter(chosen), is_matrix);
  if (std::none_of(chosen.begin(), chosen.end(), [](const auto& t) { return t.type.has_value(); }))
    throw file.problem("has no 2-D tensor of F16, BF16 or F32; convert or reshape its weights");
  return chosen;
}

}  // namespace

plan make_plan(const input_file& file, const std::vector<tensor_entry>& tensors, const settings& s) {
  const bool must_fit = s.kind == file_kind::npy || s.select;
  plan result;
  for (const tensor_entry& tensor : candidates(file, tensors, s)) {
    for (const tsenor::pattern pattern : s.patterns) {
      const std::string reason = objection(tensor, pattern, s.methods.front().edge);
      if (reason.empty()) {
        for (const tsenor::options& options : s.methods) result.tasks.push_back({tensor, pattern, options});
      } else if (must_fit) {
        throw file.problem(s.kind == file_kind::npy ? reason
                                                    : "has a tensor, " + in_quotes(tensor.name) + ", that " + reason);
      } else {
        result.skipped.push_back({tensor, pattern, reason});
      }
    }
  }
  return result;
}

}  // namespace tool
