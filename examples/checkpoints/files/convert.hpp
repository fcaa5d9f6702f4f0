/// \file
/// Weights as floats and back, masks on bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor.hpp"

namespace tool {

/// Weights times 2^-exponent. The exponent is 0 but for weights of 64 bits that would leave the range of floats.
struct float_weights {
  std::vector<float> values;
  int exponent = 0;
};

/// Exact but for weights of 64 bits, which are rounded: masks are searched for among floats, so that one search is
/// compiled.
float_weights to_floats(const matrix& m);

/// The weights of a matrix of 16 or 32 bits from floats, rounded to its own type; else a failure.
void from_floats(const float_weights& weights, matrix& m);

/// Sets the elements to 0 whose byte of the mask is 0, whatever their type; they have 8, 16, 32 or 64 bits.
void apply_bytes(std::vector<std::byte>& data, const std::vector<std::uint8_t>& mask, int threads);

/// 1 for each element that is not zero. -0.0 is zero; NaN, infinities and the smallest subnormal are not.
std::vector<std::uint8_t> nonzeros(const std::vector<std::byte>& data, const tensor_entry& t);

}  // namespace tool
