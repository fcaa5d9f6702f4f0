/// \file
/// Nodes of autograd's graph, as PyTorch's own operators have them: unlike torch::autograd::Function they work under
/// torch.func's transforms.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>

#include <memory>
#include <type_traits>

namespace tsenor_torch {

/// PyTorch holds nodes by std::shared_ptr, later ones by c10::intrusive_ptr.
template <class T, class... Arguments>
auto make_node(Arguments&&... arguments) {
  using pointer = decltype(torch::autograd::Edge::function);
  if constexpr (std::is_same_v<pointer, std::shared_ptr<torch::autograd::Node>>)
    return std::make_shared<T>(std::forward<Arguments>(arguments)...);
  else
    return c10::make_intrusive<T>(std::forward<Arguments>(arguments)...);
}

template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Whether an operator on these tensors is to have a derivative, backward or forward.
template <class... Tensors>
bool is_tracked(const Tensors&... tensors) {
  return torch::autograd::compute_requires_grad(tensors...) || (torch::autograd::isFwGradDefined(tensors) || ...);
}

/// The operator's kernel below autograd; under torch.func's transforms, the operator at the next level.
template <class Signature, class... Arguments>
auto below_autograd(const c10::TypedOperatorHandle<Signature>& op, c10::DispatchKeySet keys, Arguments&&... arguments) {
  const at::AutoDispatchBelowADInplaceOrView below;
  return op.redispatch(keys & c10::after_ADInplaceOrView_keyset, std::forward<Arguments>(arguments)...);
}

}  // namespace tsenor_torch
