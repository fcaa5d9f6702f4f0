/// \file
/// Every check of what the operators of 2:4 are handed: the same for real tensors, meta tensors and symbolic shapes.
#pragma once

#include "arguments.hpp"

namespace tsenor_torch {

void check_16_bits(const Tensor& t, const char* name);

/// A contiguous tensor of these sizes and this type, on the device of `like`.
void check_dense(const Tensor& t, const char* name, std::vector<c10::SymInt> sizes, at::ScalarType type,
                 const Tensor& like);

void check_compress(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                    const optional_tensor& keep, const optional_tensor& mask, const optional_tensor& pruned);

/// The same with operands in float8, and the scales of both.
void check_compress_float8(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                           const Tensor& scale, const optional_tensor& transposed_scale, const optional_tensor& keep,
                           const optional_tensor& mask, const optional_tensor& pruned);

/// Of x [tokens, features] with W, or, `of_transposed`, of dy with its transpose, so many features to come out.
void check_product(const Tensor& x, const optional_tensor& pruned, const optional_tensor& compressed,
                   const c10::SymInt& features, bool of_transposed);

/// A gradient [tokens, features] that has a compressed estimate.
void check_mvue(const Tensor& dy);

/// Of x [tokens, in], with dy [tokens, out] or the compressed estimate of its transpose.
void check_weight_gradient(const Tensor& x, const optional_tensor& dy, const optional_tensor& compressed,
                           const c10::SymInt& out_features);

void check_linear24(const Tensor& x, const Tensor& weight, const optional_tensor& bias, const optional_tensor& pruned,
                    const optional_tensor& compressed, const optional_tensor& transposed, const optional_tensor& mask,
                    at::ScalarType type, bool mvue);

void check_linear24_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const optional_tensor& pruned,
                             const optional_tensor& transposed, const optional_tensor& mask, bool mvue);

}  // namespace tsenor_torch
