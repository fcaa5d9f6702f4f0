// A linear layer's three products as one operator with its backward pass, so that a step costs the host little.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include <optional>

#include "arguments24.hpp"
#include "node.hpp"

namespace tsenor_torch {
namespace {

using torch::autograd::variable_list;

/// An operator for one sparse product, on whichever device.
class sparse_product {
 public:
  explicit sparse_product(const char* name)
      : call_(c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<signature>()) {}
  Tensor operator()(const Tensor& x, const Tensor& operand, const c10::SymInt& features) const {
    return call_.call(x, std::nullopt, operand, features);
  }

 private:
  using signature = Tensor(const Tensor&, const optional_tensor&, const optional_tensor&, c10::SymInt);
  c10::TypedOperatorHandle<signature> call_;
};

Tensor rows_of(const Tensor& t, at::ScalarType type) {
  return t.reshape_symint({-1, t.sym_size(-1)}).to(type).contiguous();
}

/// The gradient or tangent of the dense weights: all of it, or what the mask keeps.
Tensor learnt(const Tensor& t, const optional_tensor& mask) { return mask ? at::where(*mask, t, 0) : t; }

/// A call's tensors. Where an operand is not given, the product is PyTorch's dense one with the pruned weights.
struct layer {
  const Tensor &x, &weight;
  const optional_tensor &bias, &pruned, &compressed, &transposed, &mask;
  at::ScalarType type;

  Tensor forward() const {
    const optional_tensor shift = bias ? optional_tensor(bias->to(type)) : std::nullopt;
    return shaped(product(rows_of(x, type), shift));
  }
  /// Where a tangent is given.
  Tensor tangent() const {
    Tensor sum = at::zeros({}, x.options().dtype(type));
    const auto add = [&](const Tensor& part) { sum = sum + part; };
    const auto of = [](const Tensor& t) { return t._fw_grad(0); };
    if (of(x).defined()) add(product(rows_of(of(x), type), std::nullopt));
    if (of(weight).defined()) add(at::linear(rows_of(x, type), learnt(of(weight), mask).to(type)));
    if (bias && of(*bias).defined()) add(of(*bias).to(type));
    return shaped(sum.expand_symint({x.sym_numel() / x.sym_size(-1), weight.sym_size(0)}));
  }

 private:
  Tensor product(const Tensor& rows, const optional_tensor& shift) const {
    if (!compressed) return at::linear(rows, *pruned, shift);
    static const sparse_product product("tsenor::linear24_forward");
    const Tensor y = product(rows, *compressed, weight.sym_size(0));
    return shift ? y.add_(*shift) : y;
  }
  /// As linear's result is: under autocast it keeps the products' type.
  Tensor shaped(const Tensor& y) const {
    const bool autocast = at::autocast::is_autocast_enabled(x.device().type());
    std::vector<c10::SymInt> sizes = x.sym_sizes().vec();
    sizes.back() = weight.sym_size(0);
    return y.to(autocast ? type : x.scalar_type()).reshape_symint(sizes);
  }
};

struct Linear24Backward : torch::autograd::Node {
  std::string name() const override { return "Linear24Backward"; }
  variable_list apply(variable_list&& gradients) override;
  void release_variables() override {
    x.reset_data();
    form.reset_data();
    mask.reset_data();
  }

  torch::autograd::SavedVariable x, form, mask;
  bool sparse = false;  // form is the compressed transpose, else the pruned weights
  at::ScalarType type, x_type, weight_type, bias_type;
  std::vector<c10::SymInt> x_sizes;
};

variable_list Linear24Backward::apply(variable_list&& gradients) {
  variable_list result(3);
  if (!gradients[0].defined()) return result;
  {
    const at::AutoGradMode off(false);
    const Tensor rows = rows_of(x.unpack(), type), operand = form.unpack(), kept = mask.unpack();
    const Tensor dy = rows_of(gradients[0], type);
    if (task_should_compute_output(0)) {
      static const sparse_product product("tsenor::linear24_input_gradient");
      const Tensor dx = sparse ? product(dy, operand, rows.sym_size(1)) : at::mm(dy, operand);
      result[0] = dx.to(x_type).reshape_symint(x_sizes);
    }
    if (task_should_compute_output(1))
      result[1] = learnt(at::mm(dy.t(), rows).to(weight_type),
                         kept.defined() ? optional_tensor(kept) : std::nullopt);
    if (task_should_compute_output(2)) result[2] = dy.sum(0).to(bias_type);
  }
  // To autograd the pruned weights are no function of the dense ones, so a second derivative would lack a part.
  if (at::GradMode::is_enabled())
    for (const Tensor& gradient : result)
      if (gradient.defined())
        set_history(gradient, make_node<torch::autograd::NotImplemented>("the backward pass of tsenor::linear24"));
  return result;
}

void remember(const Tensor& y, const layer& l) {
  using torch::autograd::SavedVariable;
  auto node = make_node<Linear24Backward>();
  node->set_next_edges(torch::autograd::collect_next_edges(l.x, l.weight, l.bias));
  node->x = SavedVariable(l.x.scalar_type() == l.type ? l.x : rows_of(l.x.detach(), l.type), false);
  node->form = SavedVariable(l.transposed ? *l.transposed : *l.pruned, false);
  if (l.mask) node->mask = SavedVariable(*l.mask, false);
  node->sparse = l.transposed.has_value();
  node->type = l.type, node->x_type = l.x.scalar_type(), node->weight_type = l.weight.scalar_type();
  node->bias_type = l.bias ? l.bias->scalar_type() : l.type;
  node->x_sizes = l.x.sym_sizes().vec();
  set_history(y, node);
}

Tensor linear24(const Tensor& x, const Tensor& weight, const optional_tensor& bias, const optional_tensor& pruned,
                const optional_tensor& compressed, const optional_tensor& transposed, const optional_tensor& mask,
                at::ScalarType type) {
  check_linear24(x, weight, bias, pruned, compressed, transposed, mask, type);
  const c10::impl::ExcludeDispatchKeyGuard products_have_their_type(c10::autocast_dispatch_keyset);
  return layer{x, weight, bias, pruned, compressed, transposed, mask, type}.forward();
}

Tensor linear24_autograd(const Tensor& x, const Tensor& weight, const optional_tensor& bias,
                         const optional_tensor& pruned, const optional_tensor& compressed,
                         const optional_tensor& transposed, const optional_tensor& mask, at::ScalarType type) {
  using namespace torch::autograd;
  const layer l{x, weight, bias, pruned, compressed, transposed, mask, type};
  const bool learns = compute_requires_grad(x, weight, bias);
  const bool moves = isFwGradDefined(x) || isFwGradDefined(weight) || isFwGradDefined(bias);
  TORCH_CHECK_NOT_IMPLEMENTED(!learns || !isFwGradDefined(weight),
                              "tsenor: linear24 has no second derivative: forward mode over reverse mode is one");
  Tensor y;
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    y = linear24(x, weight, bias, pruned, compressed, transposed, mask, type);
  }
  const c10::impl::ExcludeDispatchKeyGuard products_have_their_type(c10::autocast_dispatch_keyset);
  if (learns) remember(y, l);
  if (moves) y._set_fw_grad(l.tangent(), 0, false);
  return y;
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def(
      "linear24(Tensor x, Tensor weight, Tensor? bias, Tensor? pruned, Tensor? compressed, Tensor? transposed, "
      "Tensor? mask, ScalarType type) -> Tensor",
      {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(tsenor, CompositeExplicitAutograd, library) { library.impl("linear24", &linear24); }
TORCH_LIBRARY_IMPL(tsenor, Autograd, library) { library.impl("linear24", &linear24_autograd); }

}  // namespace
}  // namespace tsenor_torch
