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

using step_signature = Tensor(const Tensor&, const Tensor&, const optional_tensor&, const optional_tensor&,
                              const optional_tensor&, const optional_tensor&, const optional_tensor&, at::ScalarType,
                              bool);
using gradients = std::tuple<Tensor, Tensor, Tensor>;
using backward_signature = gradients(const Tensor&, const Tensor&, const Tensor&, const optional_tensor&,
                                     const optional_tensor&, const optional_tensor&, std::array<bool, 3>, bool);

/// An operator for one sparse product, on whichever device.
class sparse_product {
 public:
  explicit sparse_product(const char* name) : call_(operator_named<signature>(name)) {}
  Tensor operator()(const Tensor& x, const Tensor& operand, const c10::SymInt& features) const {
    return call_.call(x, std::nullopt, operand, features);
  }

 private:
  using signature = Tensor(const Tensor&, const optional_tensor&, const optional_tensor&, c10::SymInt);
  c10::TypedOperatorHandle<signature> call_;
};

/// dy^T x with an estimate of dy, on whichever device.
Tensor estimated_weight_gradient(const Tensor& dy, const Tensor& x) {
  using estimate_signature = Tensor(const Tensor&, const std::optional<at::Generator>&, std::optional<std::int64_t>);
  static const auto estimate = operator_named<estimate_signature>("tsenor::sparse24_mvue");
  static const sparse_product product("tsenor::linear24_weight_gradient");
  return product(x, estimate.call(dy, std::nullopt, std::nullopt), dy.sym_size(1));
}

Tensor rows_of(const Tensor& t, at::ScalarType type) {
  return t.reshape_symint({-1, t.sym_size(-1)}).to(type).contiguous();
}

/// The gradient or tangent of the dense weights: all of it, or what the mask keeps.
Tensor learnt(const Tensor& t, const optional_tensor& mask) { return mask ? at::where(*mask, t, 0) : t; }

/// `rows` with the dimensions and the type of x.
Tensor shaped(const Tensor& rows, const Tensor& x) {
  std::vector<c10::SymInt> sizes = x.sym_sizes().vec();
  sizes.back() = rows.sym_size(-1);
  return rows.to(x.scalar_type()).reshape_symint(sizes);
}

/// Where an operand is not given, the product is PyTorch's dense one with the pruned weights.
Tensor linear24(const Tensor& x, const Tensor& weight, const optional_tensor& bias, const optional_tensor& pruned,
                const optional_tensor& compressed, const optional_tensor& transposed, const optional_tensor& mask,
                at::ScalarType type, bool mvue) {
  check_linear24(x, weight, bias, pruned, compressed, transposed, mask, type, mvue);
  const c10::impl::ExcludeDispatchKeyGuard products_have_their_type(c10::autocast_dispatch_keyset);
  const Tensor rows = rows_of(x, type);
  const optional_tensor shift = bias ? optional_tensor(bias->to(type)) : std::nullopt;
  if (!compressed) return shaped(at::linear(rows, *pruned, shift), x);
  static const sparse_product product("tsenor::linear24_forward");
  const Tensor y = product(rows, *compressed, weight.sym_size(0));
  return shaped(shift ? y.add_(*shift) : y, x);
}

/// The gradients of x [tokens, in], the weights and the bias, those wanted, from dy [tokens, out], in their type.
gradients linear24_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const optional_tensor& pruned,
                            const optional_tensor& transposed, const optional_tensor& mask, std::array<bool, 3> wanted,
                            bool mvue) {
  check_linear24_backward(dy, x, weight, pruned, transposed, mask, mvue);
  static const sparse_product product("tsenor::linear24_input_gradient");
  const auto none = [&] { return at::empty({0}, dy.options()); };
  Tensor dx = !wanted[0] ? none() : transposed ? product(dy, *transposed, x.sym_size(1)) : at::mm(dy, *pruned);
  const auto dense_dw = [&] { return mvue ? estimated_weight_gradient(dy, x) : at::mm(dy.t(), x); };
  Tensor dw = wanted[1] ? learnt(dense_dw(), mask) : none();
  return {std::move(dx), std::move(dw), wanted[2] ? dy.sum(0) : none()};
}

/// With second derivatives, by dense products, the weight gradient's too, of what autograd is to take for the weights:
/// the pruned ones as values.
gradients linear24_backward_autograd(c10::DispatchKeySet keys, const Tensor& dy, const Tensor& x, const Tensor& weight,
                                     const optional_tensor& pruned, const optional_tensor& transposed,
                                     const optional_tensor& mask, std::array<bool, 3> wanted, bool mvue) {
  static const auto itself = operator_named<backward_signature>("tsenor::linear24_backward");
  if (!is_tracked(dy, x, weight))
    return below_autograd(itself, keys, dy, x, weight, pruned, transposed, mask, wanted, mvue);
  TORCH_CHECK_NOT_IMPLEMENTED(pruned || !wanted[0],
                              "the second derivative of tsenor::linear24 needs the pruned weights, which "
                              "a layer with sparse products in both passes does not have");
  if (!wanted[0]) return linear24_backward(dy, x, weight, pruned, std::nullopt, mask, wanted, false);
  const Tensor dense = learnt(weight, mask);
  const Tensor operand = *pruned + (dense - dense.detach()).to(pruned->scalar_type());
  return linear24_backward(dy, x, weight, operand, std::nullopt, mask, wanted, false);
}

struct Linear24Backward : torch::autograd::Node {
  std::string name() const override { return "Linear24Backward"; }
  variable_list apply(variable_list&& dy) override;
  void release_variables() override {
    for (auto* saved : {&x, &weight, &pruned, &transposed, &mask}) saved->reset_data();
  }

  torch::autograd::SavedVariable x, weight, pruned, transposed, mask;
  at::ScalarType type, x_type, bias_type;
  bool mvue;
  std::vector<c10::SymInt> x_sizes;
};

variable_list Linear24Backward::apply(variable_list&& dy) {
  if (!dy[0].defined()) return variable_list(3);
  static const auto backward = operator_named<backward_signature>("tsenor::linear24_backward");
  const auto given = [](const Tensor& t) { return t.defined() ? optional_tensor(t) : std::nullopt; };
  const std::array<bool, 3> wanted{task_should_compute_output(0), task_should_compute_output(1),
                                   task_should_compute_output(2)};
  const Tensor dense = weight.unpack();
  const auto [dx, dw, db] =
      backward.call(rows_of(dy[0], type), rows_of(x.unpack(), type), dense, given(pruned.unpack()),
                    given(transposed.unpack()), given(mask.unpack()), wanted, mvue);
  return {wanted[0] ? dx.to(x_type).reshape_symint(x_sizes) : Tensor(),
          wanted[1] ? dw.to(dense.scalar_type()) : Tensor(), wanted[2] ? db.to(bias_type) : Tensor()};
}

void remember(const Tensor& y, const Tensor& x, const Tensor& weight, const optional_tensor& bias,
              const optional_tensor& pruned, const optional_tensor& transposed, const optional_tensor& mask,
              at::ScalarType type, bool mvue) {
  using torch::autograd::SavedVariable;
  auto node = make_node<Linear24Backward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x, weight, bias));
  node->x = SavedVariable(x.scalar_type() == type ? x : rows_of(x.detach(), type), false);
  node->weight = SavedVariable(weight, false);
  node->pruned = SavedVariable(pruned, false);
  node->transposed = SavedVariable(transposed, false);
  node->mask = SavedVariable(mask, false);
  node->mvue = mvue, node->type = type, node->x_type = x.scalar_type(),
  node->bias_type = bias ? bias->scalar_type() : type;
  node->x_sizes = x.sym_sizes().vec();
  torch::autograd::set_history(y, node);
}

Tensor linear24_autograd(c10::DispatchKeySet keys, const Tensor& x, const Tensor& weight, const optional_tensor& bias,
                         const optional_tensor& pruned, const optional_tensor& compressed,
                         const optional_tensor& transposed, const optional_tensor& mask, at::ScalarType type,
                         bool mvue) {
  using torch::autograd::isFwGradDefined;
  static const auto itself = operator_named<step_signature>("tsenor::linear24");
  const Tensor y = below_autograd(itself, keys, x, weight, bias, pruned, compressed, transposed, mask, type, mvue);
  if (torch::autograd::compute_requires_grad(x, weight, bias))
    remember(y, x, weight, bias, pruned, transposed, mask, type, mvue);
  if (isFwGradDefined(x) || isFwGradDefined(weight) || isFwGradDefined(bias)) {
    const c10::impl::ExcludeDispatchKeyGuard products_have_their_type(c10::autocast_dispatch_keyset);
    const auto of = [](const Tensor& t) { return t._fw_grad(0); };
    Tensor sum = at::zeros_like(y);
    if (of(x).defined())
      sum = sum +
            itself.call(of(x), weight._fw_primal(0), std::nullopt, pruned, compressed, transposed, mask, type, mvue);
    if (of(weight).defined()) {
      const Tensor moved = learnt(of(weight), mask).to(type);
      sum = sum + shaped(at::linear(rows_of(x._fw_primal(0), type), moved), x);
    }
    if (isFwGradDefined(bias)) sum = sum + of(*bias).to(type);
    y._set_fw_grad(sum.to(y.scalar_type()), 0, false);
  }
  return y;
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag};
  library.def(
      "linear24(Tensor x, Tensor weight, Tensor? bias, Tensor? pruned, Tensor? compressed, Tensor? transposed, "
      "Tensor? mask, ScalarType type, bool mvue=False) -> Tensor",
      tags);
  library.def(
      "linear24_backward(Tensor dy, Tensor x, Tensor weight, Tensor? pruned, Tensor? transposed, Tensor? mask, "
      "bool[3] wanted, bool mvue=False) -> (Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(tsenor, CompositeExplicitAutograd, library) {
  library.impl("linear24", &linear24);
  library.impl("linear24_backward", &linear24_backward);
}
TORCH_LIBRARY_IMPL(tsenor, Autograd, library) {
  library.impl("linear24", &linear24_autograd);
  library.impl("linear24_backward", &linear24_backward_autograd);
}

}  // namespace
}  // namespace tsenor_torch
