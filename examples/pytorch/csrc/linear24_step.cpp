// A linear layer's three products as one operator with its backward pass, so that a step costs the host little.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>

namespace tsenor_torch {
namespace {

using at::Tensor;
using optional_tensor = std::optional<Tensor>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// An operator for one sparse product, on whichever device.
class sparse_product {
 public:
  explicit sparse_product(const char* name)
      : call_(c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<signature>()) {}
  Tensor operator()(const Tensor& x, const Tensor& operand, std::int64_t features) const {
    return call_.call(x, std::nullopt, operand, features);
  }

 private:
  using signature = Tensor(const Tensor&, const optional_tensor&, const optional_tensor&, std::int64_t);
  c10::TypedOperatorHandle<signature> call_;
};

Tensor rows_of(const Tensor& t, at::ScalarType type) { return t.reshape({-1, t.size(-1)}).to(type).contiguous(); }

/// Where an operand is not given, the product is PyTorch's dense one with the pruned weights.
class step : public torch::autograd::Function<step> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const optional_tensor& bias,
                        const optional_tensor& pruned, const optional_tensor& compressed,
                        const optional_tensor& transposed, const optional_tensor& mask, at::ScalarType type) {
    // As linear does: under autocast the result keeps the products' type.
    const bool autocast = at::autocast::is_autocast_enabled(x.device().type());
    const c10::impl::ExcludeDispatchKeyGuard products_have_their_type(c10::autocast_dispatch_keyset);
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor rows = rows_of(x, type);
    const optional_tensor shift = bias ? optional_tensor(bias->to(type)) : std::nullopt;
    Tensor y;
    if (compressed) {
      static const sparse_product product("tsenor::linear24_forward");
      y = product(rows, *compressed, weight.size(0));
      if (shift) y.add_(*shift);
    } else {
      y = at::linear(rows, *pruned, shift);
    }
    const auto or_none = [](const optional_tensor& t) { return t ? *t : Tensor(); };
    ctx->save_for_backward({rows, transposed ? *transposed : *pruned, or_none(mask)});
    ctx->saved_data["sparse"] = transposed.has_value();
    ctx->saved_data["types"] = std::vector<std::int64_t>{int(x.scalar_type()), int(weight.scalar_type()),
                                                         int(bias ? bias->scalar_type() : type), bias.has_value()};
    ctx->saved_data["sizes"] = x.sizes().vec();
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = weight.size(0);
    return y.to(autocast ? type : x.scalar_type()).view(sizes);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &form = saved[1], &mask = saved[2];
    const auto types = ctx->saved_data["types"].toIntVector();
    const Tensor dy = rows_of(gradients[0], x.scalar_type());
    variable_list result(8);
    if (ctx->needs_input_grad(0)) {
      static const sparse_product product("tsenor::linear24_input_gradient");
      const Tensor dx = ctx->saved_data["sparse"].toBool() ? product(dy, form, x.size(1)) : at::mm(dy, form);
      result[0] = dx.to(at::ScalarType(types[0])).view(ctx->saved_data["sizes"].toIntVector());
    }
    if (ctx->needs_input_grad(1)) {
      const Tensor dw = at::mm(dy.t(), x).to(at::ScalarType(types[1]));
      result[1] = mask.defined() ? at::where(mask, dw, 0) : dw;
    }
    if (types[3] && ctx->needs_input_grad(2)) result[2] = dy.sum(0).to(at::ScalarType(types[2]));
    return result;
  }
};

Tensor linear24(const Tensor& x, const Tensor& weight, const optional_tensor& bias, const optional_tensor& pruned,
                const optional_tensor& compressed, const optional_tensor& transposed, const optional_tensor& mask,
                at::ScalarType type) {
  TORCH_CHECK_VALUE(pruned || (compressed && transposed),
                    "tsenor: linear24 needs both compressed operands, or the pruned weights for those not given");
  return step::apply(x, weight, bias, pruned, compressed, transposed, mask, type);
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def(
      "linear24(Tensor x, Tensor weight, Tensor? bias, Tensor? pruned, Tensor? compressed, Tensor? transposed, "
      "Tensor? mask, ScalarType type) -> Tensor");
}

TORCH_LIBRARY_IMPL(tsenor, CompositeImplicitAutograd, library) { library.impl("linear24", &linear24); }

}  // namespace
}  // namespace tsenor_torch
