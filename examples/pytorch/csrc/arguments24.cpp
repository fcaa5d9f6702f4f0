#include "arguments24.hpp"

#include <torch/library.h>

#include "tsenor/sparse24/layout.hpp"

namespace tsenor_torch {
namespace {

using c10::SymInt;

/// Bytes of a compressed operand; see tsenor/sparse24/layout.hpp.
SymInt compressed_size(const Tensor& weight) { return weight.sym_size(0) * weight.sym_size(1) / 8 * 9; }

void check_compressed(const optional_tensor& t, const char* name, const Tensor& weight) {
  if (t) check_dense(*t, name, {compressed_size(weight)}, at::kByte, weight);
}

/// What the operators that compress ask of all but the operands.
void check_compressible(const Tensor& weight, const optional_tensor& keep, const optional_tensor& mask,
                        const optional_tensor& pruned, std::int64_t granularity) {
  TORCH_CHECK_VALUE(weight.dim() == 2 && weight.sym_stride(1) == 1,
                    "tsenor: weight must be [rows, cols] with contiguous rows");
  TORCH_CHECK_VALUE(weight.sym_size(0) % granularity == 0 && weight.sym_size(1) % granularity == 0,
                    "tsenor: rows and cols of weight ", weight.sym_sizes(), " must be multiples of ", granularity,
                    " for 2:4 products");
  TORCH_CHECK_VALUE(!keep || !mask, "tsenor: give keep or mask, not both: with a mask to keep there is none to find");
  for (const optional_tensor* bools : {&keep, &mask})
    if (*bools) check_dense(**bools, "mask", weight.sym_sizes().vec(), at::kBool, weight);
  if (pruned) check_dense(*pruned, "pruned", weight.sym_sizes().vec(), weight.scalar_type(), weight);
}

/// One number, or one for each of so many rows.
void check_scale(const Tensor& scale, const char* name, const SymInt& rows, const Tensor& weight) {
  check_device(scale, name, weight);
  const bool fits = scale.sym_numel() == 1 || (scale.dim() == 1 && scale.sym_size(0) == rows);
  TORCH_CHECK_VALUE(fits && scale.scalar_type() == at::kFloat && scale.is_contiguous(), "tsenor: ", name,
                    " must be a contiguous float32 tensor of one number, or of [", rows, "], not ", scale.scalar_type(),
                    " ", scale.sym_sizes());
}

void check_granularity(const SymInt& tokens, const SymInt& features) {
  TORCH_CHECK_VALUE(tokens % 64 == 0 && features % 64 == 0, "tsenor: tokens and features of an output gradient [",
                    tokens, ", ", features, "] must be multiples of 64 for a 2:4 estimate");
}

}  // namespace

void check_16_bits(const Tensor& t, const char* name) {
  TORCH_CHECK_TYPE(t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16, "tsenor: ", name,
                   " must be float16 or bfloat16 for 2:4 products, not ", t.scalar_type());
}

void check_dense(const Tensor& t, const char* name, std::vector<SymInt> sizes, at::ScalarType type,
                 const Tensor& like) {
  check_device(t, name, like);
  TORCH_CHECK_VALUE(t.sym_sizes() == c10::SymIntArrayRef(sizes) && t.scalar_type() == type && t.is_contiguous(),
                    "tsenor: ", name, " must be a contiguous ", type, " tensor ", c10::SymIntArrayRef(sizes), ", not ",
                    t.scalar_type(), " ", t.sym_sizes(), " with strides ", t.sym_strides());
}

void check_compress(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                    const optional_tensor& keep, const optional_tensor& mask, const optional_tensor& pruned) {
  check_16_bits(weight, "weight");
  check_compressible(weight, keep, mask, pruned, tsenor::sparse24::granularity);
  check_compressed(compressed, "compressed", weight);
  check_compressed(transposed, "transposed", weight);
}

void check_compress_float8(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                           const Tensor& scale, const optional_tensor& transposed_scale, const optional_tensor& keep,
                           const optional_tensor& mask, const optional_tensor& pruned) {
  const at::ScalarType type = weight.scalar_type();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kHalf || type == at::kBFloat16,
                   "tsenor: weight must be float32, float16 or bfloat16 for products in float8, not ", type);
  check_compressible(weight, keep, mask, pruned, tsenor::sparse24::granularity);
  const SymInt rows = weight.sym_size(0), cols = weight.sym_size(1);
  if (compressed) check_dense(*compressed, "compressed", {rows, cols / 8 * 5}, at::kFloat8_e4m3fn, weight);
  if (transposed) check_dense(*transposed, "transposed", {cols, rows / 8 * 5}, at::kFloat8_e4m3fn, weight);
  check_scale(scale, "scale", rows, weight);
  TORCH_CHECK_VALUE(transposed_scale || !transposed || scale.sym_numel() == 1,
                    "tsenor: with a scale for each row of weight, transposed needs scales of its own: give "
                    "transposed_scale");
  if (transposed_scale) check_scale(*transposed_scale, "transposed_scale", cols, weight);
}

void check_product(const Tensor& x, const optional_tensor& pruned, const optional_tensor& compressed,
                   const SymInt& features, bool of_transposed) {
  TORCH_CHECK_VALUE(x.dim() == 2, "tsenor: ", of_transposed ? "dy" : "x", " must be [tokens, features], not ",
                    x.sym_sizes());
  check_dense(x, of_transposed ? "dy" : "x", x.sym_sizes().vec(), x.scalar_type(), x);
  const SymInt in = of_transposed ? features : x.sym_size(1), out = of_transposed ? x.sym_size(1) : features;
  TORCH_CHECK_VALUE(pruned || compressed, "tsenor: a product needs the pruned weights, or their compressed form");
  if (pruned) check_dense(*pruned, "pruned", {out, in}, x.scalar_type(), x);
  if (compressed)
    check_dense(*compressed, of_transposed ? "transposed" : "compressed", {out * in / 8 * 9}, at::kByte, x);
}

void check_mvue(const Tensor& dy) {
  check_16_bits(dy, "dy");
  TORCH_CHECK_VALUE(dy.dim() == 2, "tsenor: dy must be [tokens, features], not ", dy.sym_sizes());
  check_dense(dy, "dy", dy.sym_sizes().vec(), dy.scalar_type(), dy);
  check_granularity(dy.sym_size(0), dy.sym_size(1));
}

void check_weight_gradient(const Tensor& x, const optional_tensor& dy, const optional_tensor& compressed,
                           const SymInt& out_features) {
  TORCH_CHECK_VALUE(x.dim() == 2, "tsenor: x must be [tokens, features], not ", x.sym_sizes());
  check_dense(x, "x", x.sym_sizes().vec(), x.scalar_type(), x);
  TORCH_CHECK_VALUE(dy || compressed, "tsenor: a weight gradient needs dy, or its compressed estimate");
  if (dy) check_dense(*dy, "dy", {x.sym_size(0), out_features}, x.scalar_type(), x);
  if (!compressed) return;
  check_16_bits(x, "x");
  check_granularity(x.sym_size(0), out_features);
  check_dense(*compressed, "compressed", {x.sym_size(0) * out_features / 8 * 9}, at::kByte, x);
}

void check_linear24(const Tensor& x, const Tensor& weight, const optional_tensor& bias, const optional_tensor& pruned,
                    const optional_tensor& compressed, const optional_tensor& transposed, const optional_tensor& mask,
                    at::ScalarType type, bool mvue) {
  TORCH_CHECK_VALUE(pruned || (compressed && transposed),
                    "tsenor: linear24 needs both compressed operands, or the pruned weights for those not given");
  TORCH_CHECK_VALUE(weight.dim() == 2 && x.dim() >= 1 && x.sym_size(-1) == weight.sym_size(1),
                    "tsenor: the last size of x ", x.sym_sizes(), " must be the input features of weight ",
                    weight.sym_sizes());
  check_device(x, "x", weight);
  if (mvue) check_granularity(x.sym_numel() / weight.sym_size(1), weight.sym_size(0));
  if (bias) {
    check_device(*bias, "bias", weight);
    TORCH_CHECK_VALUE(bias->dim() == 1 && bias->sym_size(0) == weight.sym_size(0), "tsenor: bias must be [",
                      weight.sym_size(0), "], not ", bias->sym_sizes());
  }
  if (pruned) check_dense(*pruned, "pruned", weight.sym_sizes().vec(), type, weight);
  check_compressed(compressed, "compressed", weight);
  check_compressed(transposed, "transposed", weight);
  if (mask) check_dense(*mask, "mask", weight.sym_sizes().vec(), at::kBool, weight);
}

void check_linear24_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const optional_tensor& pruned,
                             const optional_tensor& transposed, const optional_tensor& mask, bool mvue) {
  check_device(x, "x", weight);
  TORCH_CHECK_VALUE(weight.dim() == 2 && x.dim() == 2 && x.sym_size(1) == weight.sym_size(1),
                    "tsenor: x must be [tokens, ", weight.sym_size(-1), "], not ", x.sym_sizes());
  check_dense(dy, "dy", {x.sym_size(0), weight.sym_size(0)}, x.scalar_type(), weight);
  check_product(dy, pruned, transposed, weight.sym_size(1), true);
  if (mvue) check_mvue(dy);
  if (mask) check_dense(*mask, "mask", weight.sym_sizes().vec(), at::kBool, weight);
}

namespace {

void check_product_op(const Tensor& x, const optional_tensor& pruned, const optional_tensor& compressed,
                      c10::SymInt features, bool of_transposed) {
  check_product(x, pruned, compressed, features, of_transposed);
}
void check_weight_gradient_op(const Tensor& x, const optional_tensor& dy, const optional_tensor& compressed,
                              c10::SymInt out_features) {
  check_weight_gradient(x, dy, compressed, out_features);
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def(
      "check_compress(Tensor? compressed, Tensor? transposed, Tensor weight, Tensor? keep=None, Tensor? mask=None, "
      "Tensor? pruned=None) -> ()");
  library.def(
      "check_compress_float8(Tensor? compressed, Tensor? transposed, Tensor weight, Tensor scale, Tensor? "
      "transposed_scale=None, Tensor? keep=None, Tensor? mask=None, Tensor? pruned=None) -> ()");
  library.def("check_product(Tensor x, Tensor? pruned, Tensor? compressed, SymInt features, bool of_transposed) -> ()");
  library.def("check_mvue(Tensor dy) -> ()");
  library.def("check_weight_gradient(Tensor x, Tensor? dy, Tensor? compressed, SymInt out_features) -> ()");
  library.def(
      "check_linear24(Tensor x, Tensor weight, Tensor? bias, Tensor? pruned, Tensor? compressed, Tensor? transposed, "
      "Tensor? mask, ScalarType type, bool mvue=False) -> ()");
  library.def(
      "check_linear24_backward(Tensor dy, Tensor x, Tensor weight, Tensor? pruned, Tensor? transposed, Tensor? mask, "
      "bool mvue=False) -> ()");
}
TORCH_LIBRARY_IMPL(tsenor, CompositeImplicitAutograd, library) {
  library.impl("check_compress", &check_compress);
  library.impl("check_compress_float8", &check_compress_float8);
  library.impl("check_product", &check_product_op);
  library.impl("check_mvue", &check_mvue);
  library.impl("check_weight_gradient", &check_weight_gradient_op);
  library.impl("check_linear24", &check_linear24);
  library.impl("check_linear24_backward", &check_linear24_backward);
}

}  // namespace
}  // namespace tsenor_torch
