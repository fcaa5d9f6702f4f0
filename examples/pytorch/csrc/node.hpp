/// \file
/// Nodes of autograd's graph, as PyTorch's own operators have them: unlike torch::autograd::Function they work under
/// torch.func's transforms.
#pragma once

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

}  // namespace tsenor_torch
