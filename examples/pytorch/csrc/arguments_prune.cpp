#include "arguments_prune.hpp"

#include <ATen/MemoryOverlap.h>
#include <torch/library.h>

namespace tsenor_torch {
namespace {

tsenor::prune::structure structure_of(const std::string& word) {
  using tsenor::prune::structure;
  if (word == "transposable") return structure::transposable;
  if (word == "row-wise") return structure::row_wise;
  TORCH_CHECK_VALUE(word == "row-then-column",
                    "tsenor: structure must be 'transposable', 'row-wise' or 'row-then-column', not '", word, "'");
  return structure::row_then_column;
}

asked search_of(const pruning& p) { return {p.n, p.m, p.method, p.constraint, p.edge}; }

void check_float32(const Tensor& t, const char* name) {
  TORCH_CHECK_TYPE(t.scalar_type() == at::kFloat, "tsenor: ", name, " must be float32, not ", t.scalar_type());
}

/// A matrix that is pruned in place. Rows may be cut off anywhere where only they have a pattern.
void check_weight(const Tensor& weight, const pruning& p) {
  TORCH_CHECK_VALUE(weight.dim() == 2, "tsenor: weight must be [out, in], not ", weight.sym_sizes());
  check_float32(weight, "weight");
  const bool rows_alone = structure_of(p.structure) == tsenor::prune::structure::row_wise;
  asked a = search_of(p);
  const bool reject = options_of(a).edge == tsenor::edge::reject;
  if (rows_alone) a.edge = "partial";
  check_pattern(weight, a);
  TORCH_CHECK_VALUE(!rows_alone || !reject || weight.sym_size(1) % p.m == 0, "tsenor: cols of weight ",
                    weight.sym_sizes(), " must be a multiple of M = ", p.m, ": pad the matrix, or use edge='partial'");
  at::assert_no_internal_overlap(weight);
}

void check_square(const Tensor& gram, const c10::SymInt& inputs) {
  TORCH_CHECK_VALUE(gram.dim() == 2 && gram.sym_size(0) == inputs && gram.sym_size(1) == inputs,
                    "tsenor: gram must be [in, in] = [", inputs, ", ", inputs, "], not ", gram.sym_sizes());
  check_float32(gram, "gram");
}

void check_damping(double damping) {
  TORCH_CHECK_VALUE(damping >= 1e-6 && damping <= 1e6, "tsenor: damping must be 1e-6 to 1e6, not ", damping);
}

}  // namespace

tsenor::prune::sparsity sparsity_of(const pruning& p) { return {structure_of(p.structure), options_of(search_of(p))}; }

c10::SymInt alps_inputs_bytes(c10::SymInt inputs) { return inputs * (inputs + 1) * 8 + 1024; }

void check_prune(const Tensor& weight, const optional_tensor& gram, const pruning& p, std::int64_t tokens,
                 double damping) {
  if (gram) check_device(*gram, "gram", weight);
  check_weight(weight, p);
  if (gram) check_square(*gram, weight.sym_size(1));
  TORCH_CHECK_VALUE(tokens >= 1, "tsenor: tokens must be at least 1, not ", tokens);
  check_damping(damping);
}

void check_gram(const Tensor& gram, const Tensor& inputs) {
  check_device(gram, "gram", inputs);
  TORCH_CHECK_VALUE(inputs.dim() == 2, "tsenor: inputs must be [tokens, in], not ", inputs.sym_sizes());
  TORCH_CHECK_TYPE(at::isFloatingType(inputs.scalar_type()), "tsenor: inputs must be floating point, not ",
                   inputs.scalar_type());
  check_square(gram, inputs.sym_size(1));
  at::assert_no_internal_overlap(gram);
}

void check_alps_inputs(const Tensor& gram, double damping) {
  TORCH_CHECK_VALUE(gram.dim() == 2, "tsenor: gram must be [in, in], not ", gram.sym_sizes());
  check_square(gram, gram.sym_size(0));
  check_damping(damping);
}

void check_alps(const Tensor& weight, const Tensor& inputs, const pruning& p, std::int64_t iterations) {
  check_device(inputs, "inputs", weight);
  check_weight(weight, p);
  TORCH_CHECK_VALUE(inputs.scalar_type() == at::kByte && inputs.dim() == 1 && inputs.is_contiguous() &&
                        inputs.sym_size(0) == alps_inputs_bytes(weight.sym_size(1)),
                    "tsenor: alps_ takes what alps_inputs returns for ", weight.sym_size(1), " inputs, not ",
                    inputs.scalar_type(), " ", inputs.sym_sizes());
  TORCH_CHECK_VALUE(iterations >= 1 && iterations <= 100000, "tsenor: iterations must be 1 to 100000, not ",
                    iterations);
}

namespace {

void check_prune_op(const Tensor& weight, const optional_tensor& gram, std::int64_t n, std::int64_t m,
                    std::int64_t tokens, double damping, std::string structure, std::string method,
                    std::string constraint, std::string edge) {
  check_prune(weight, gram, {n, m, structure, method, constraint, edge}, tokens, damping);
}
void check_alps_op(const Tensor& weight, const Tensor& inputs, std::int64_t n, std::int64_t m, std::int64_t iterations,
                   std::string structure, std::string method, std::string constraint, std::string edge) {
  check_alps(weight, inputs, {n, m, structure, method, constraint, edge}, iterations);
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  const std::string rule =
      ", str structure='transposable', str method='optimal', str constraint='exactly', str edge='reject') -> ()";
  const std::string schemas[] = {
      "check_prune(Tensor weight, Tensor? gram, int n, int m, *, int tokens=1, float damping=0.01" + rule,
      "check_alps(Tensor weight, Tensor inputs, int n, int m, *, int iterations=300" + rule,
      "check_gram(Tensor gram, Tensor inputs) -> ()", "check_alps_inputs(Tensor gram, float damping=0.01) -> ()"};
  for (const std::string& schema : schemas) library.def(schema.c_str());
  library.def("alps_inputs_bytes(SymInt inputs) -> SymInt", &alps_inputs_bytes);
}
TORCH_LIBRARY_IMPL(tsenor, CompositeImplicitAutograd, library) {
  library.impl("check_prune", &check_prune_op);
  library.impl("check_alps", &check_alps_op);
  library.impl("check_gram", &check_gram);
  library.impl("check_alps_inputs", &check_alps_inputs);
}

}  // namespace
}  // namespace tsenor_torch
