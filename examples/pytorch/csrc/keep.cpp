// The weights that a mask keeps, with a gradient that reaches all weights or only those kept.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "arguments.hpp"
#include "node.hpp"

namespace tsenor_torch {
namespace {

/// The gradient as it comes.
struct KeepBackward : torch::autograd::Node {
  std::string name() const override { return "KeepBackward"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    return std::move(gradients);
  }
};

Tensor keep(const Tensor& weight, const Tensor& mask, std::string gradient) {
  check_keep(weight, mask, gradient);
  return at::where(mask, weight, 0);
}

Tensor keep_autograd(c10::DispatchKeySet keys, const Tensor& weight, const Tensor& mask, std::string gradient) {
  using namespace torch::autograd;
  if (gradient != "straight_through") return keep(weight, mask, gradient);  // where has the masked one
  static const auto itself = operator_named<Tensor(const Tensor&, const Tensor&, std::string)>("tsenor::keep");
  const Tensor kept = below_autograd(itself, keys, weight, mask, gradient);
  if (compute_requires_grad(weight)) {
    auto node = make_node<KeepBackward>();
    node->set_next_edges(collect_next_edges(weight));
    set_history(kept, node);
  }
  if (isFwGradDefined(weight)) kept._set_fw_grad(weight._fw_grad(0), 0, false);
  return kept;
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def("keep(Tensor weight, Tensor mask, str gradient='straight_through') -> Tensor",
              {at::Tag::pt2_compliant_tag});
}
TORCH_LIBRARY_IMPL(tsenor, CompositeExplicitAutograd, library) { library.impl("keep", &keep); }
TORCH_LIBRARY_IMPL(tsenor, Autograd, library) { library.impl("keep", &keep_autograd); }

}  // namespace
}  // namespace tsenor_torch
