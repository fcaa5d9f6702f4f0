#include "search.hpp"

#include <algorithm>

namespace tool {

selection_rule rule_for(const checkpoint& in, const pattern_rules& patterns, tsenor::edge edge, const settings& s) {
  selection_rule rule;
  rule.patterns = patterns;
  rule.edge = edge;
  rule.select = s.select ? &*s.select : nullptr;
  rule.one_matrix = in.kind() == file_kind::npy;
  rule.remarks = &in.remarks();
  rule.transposed = s.transposed ? &*s.transposed : nullptr;
  const auto by_rows = [](const named_structure& n) { return n.name == "row-wise" || n.name == "row-then-column"; };
  rule.sided = s.gram || std::any_of(s.structures.begin(), s.structures.end(), by_rows);
  return rule;
}

std::uint64_t weights_of(const std::vector<selected_tensor>& chosen) {
  std::uint64_t weights = 0;
  for (const selected_tensor& t : chosen) weights += checked_product(t.tensor.shape, 1).value_or(0);
  return weights;
}

std::unique_ptr<solver> make_solver(device_choice choice) {
  if (choice == device_choice::cpu) return make_cpu_solver();
  std::string why_not;
  if (auto cuda = make_cuda_solver(why_not)) return cuda;
  if (choice == device_choice::cuda) throw failure(exit_code::device, "--device cuda: " + why_not);
  return make_cpu_solver();
}

result search_tensor(const checkpoint& in, const selected_tensor& t, const tsenor::options& options, solver& machine,
                     const settings& s, progress_bar& progress, const mask_sink& sink) {
  result r;
  r.tensor = t.tensor;
  r.pattern = t.pattern;
  r.method = options.method;
  r.constraint = options.constraint;
  for (const block& part : blocks_of(t.tensor, t.pattern.m)) {
    const matrix m = read_matrix(in.file_of(t.tensor), t.tensor, part);
    const float_weights weights = to_floats(m);
    const solution found =
        machine.solve(weights.values, part.rows, part.cols, {t.pattern, options, s.importance, s.threads});
    add(r, m, weights.exponent, found, s.importance);
    if (sink) sink(t, part, found);
    progress.advance(part.size(), t.tensor.name);
  }
  return r;
}

}  // namespace tool
