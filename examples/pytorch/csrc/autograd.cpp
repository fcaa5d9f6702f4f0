// What PyTorch's own operators do about gradients and versions, for those that have no derivative, and for prune_.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <vector>

#include "arguments24.hpp"
#include "node.hpp"

namespace tsenor_torch {
namespace {

/// The tensors that a call writes to.
std::vector<Tensor> written_by(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  const auto& arguments = op.schema().arguments();
  std::vector<Tensor> written;
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    const c10::IValue& value = torch::jit::peek(stack, k, arguments.size());
    if (arguments[k].alias_info() && arguments[k].alias_info()->isWrite() && value.isTensor())
      written.push_back(value.toTensor());
  }
  return written;
}

/// No output requires grad, and what is written to has no history.
void not_differentiable(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  for (const Tensor& t : written_by(op, *stack)) {
    torch::autograd::check_inplace(t, t.requires_grad());
    TORCH_CHECK(!(at::GradMode::is_enabled() && t.requires_grad()), op.schema().name(),
                " has no derivative, but a tensor that it writes to requires grad: detach it, or use torch.no_grad()");
  }
  const at::AutoDispatchBelowAutograd below;
  op.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
}

/// Counts a version of each tensor written to.
void count_versions(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const std::vector<Tensor> written = written_by(op, *stack);
  for (const Tensor& t : written)
    TORCH_CHECK(!t.is_inference() || c10::InferenceMode::is_enabled(),
                "Inplace update to inference tensor outside InferenceMode is not allowed.");
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
  }
  for (const Tensor& t : written) torch::autograd::impl::bump_version(t);
}

using find_mask_signature = std::tuple<Tensor, Tensor>(const Tensor&, std::int64_t, std::int64_t,
                                                       const optional_tensor&, const optional_tensor&, std::string,
                                                       std::string, std::string, bool);
using prune_signature = void(Tensor, std::int64_t, std::int64_t, const optional_tensor&, const optional_tensor&,
                             const optional_tensor&, std::string, std::string, std::string);

/// Where somebody asks for a gradient, the mask is found, and applied by an operator that has one.
void prune_(c10::DispatchKeySet keys, Tensor weight, std::int64_t n, std::int64_t m, const optional_tensor& importance,
            const optional_tensor& column_norms, const optional_tensor& mask, std::string method,
            std::string constraint, std::string edge) {
  if (!is_tracked(weight)) {
    static const auto itself = operator_named<prune_signature>("tsenor::prune_");
    const at::AutoDispatchBelowAutograd below;
    return itself.redispatch(keys & c10::after_autograd_keyset, weight, n, m, importance, column_norms, mask, method,
                             constraint, edge);
  }
  torch::autograd::check_inplace(weight, weight.requires_grad());
  static const auto find_mask = operator_named<find_mask_signature>("tsenor::find_mask");
  const Tensor kept =
      std::get<0>(find_mask.call(weight, n, m, importance, column_norms, method, constraint, edge, false));
  if (mask) mask->copy_(kept);
  weight.masked_fill_(kept.logical_not(), 0);
}

using product_signature = Tensor(const Tensor&, const optional_tensor&, const optional_tensor&, c10::SymInt);

/// linear24's sparse products alone: where somebody asks for a gradient, they are PyTorch's dense ones.
template <bool OfTransposed>
Tensor product(c10::DispatchKeySet keys, const Tensor& x, const optional_tensor& pruned,
               const optional_tensor& compressed, c10::SymInt features) {
  constexpr const char* name = OfTransposed ? "tsenor::linear24_input_gradient" : "tsenor::linear24_forward";
  static const auto itself = operator_named<product_signature>(name);
  if (!is_tracked(x, pruned)) return below_autograd(itself, keys, x, pruned, compressed, features);
  check_product(x, pruned, compressed, features, OfTransposed);
  TORCH_CHECK_NOT_IMPLEMENTED(pruned, "the derivative of ", name,
                              " needs the pruned weights: give them, or call linear24");
  return OfTransposed ? at::mm(x, *pruned) : at::linear(x, *pruned);
}

Tensor weight_gradient(c10::DispatchKeySet keys, const Tensor& x, const optional_tensor& dy,
                       const optional_tensor& compressed, c10::SymInt out_features) {
  static const auto itself = operator_named<product_signature>("tsenor::linear24_weight_gradient");
  if (!is_tracked(x, dy)) return below_autograd(itself, keys, x, dy, compressed, out_features);
  check_weight_gradient(x, dy, compressed, out_features);
  TORCH_CHECK_NOT_IMPLEMENTED(dy, "the derivative of tsenor::linear24_weight_gradient needs dy");
  return at::mm(dy->t(), x);
}

TORCH_LIBRARY_IMPL(tsenor, Autograd, library) {
  using torch::CppFunction;
  for (const char* name :
       {"find_mask", "find_mask_", "find_mask_host_seconds", "sparse24_compress_", "sparse24_compress_float8_",
        "sparse24_mvue", "linear24_vendors_compress", "linear24_measure", "linear24_choice", "gram_", "magnitude_",
        "wanda_", "sparsegpt_", "alps_inputs", "alps_"})
    library.impl(name, CppFunction::makeFromBoxedFunction<&not_differentiable>());
  library.impl("linear24_forward", &product<false>);
  library.impl("linear24_input_gradient", &product<true>);
  library.impl("linear24_weight_gradient", &weight_gradient);
  library.impl("prune_", &prune_);
}

TORCH_LIBRARY_IMPL(tsenor, ADInplaceOrView, library) {
  for (const char* name : {"find_mask_", "find_mask_host_seconds", "prune_", "sparse24_compress_",
                           "sparse24_compress_float8_", "gram_", "magnitude_", "wanda_", "sparsegpt_", "alps_"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&count_versions>());
}

}  // namespace
}  // namespace tsenor_torch
