#include "convert.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tsenor/apply_mask.hpp"

namespace tool {
namespace {

void round_to(float x, float& to) { to = x; }
// To nearest, ties to even; the carry of a full significand goes into the exponent, up to infinity.
void round_to(float x, tsenor::bfloat16& to) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  to.bits = static_cast<std::uint16_t>(std::isnan(x) ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
void round_to(float x, tsenor::float16& to) {
  const float size = std::fabs(x);
  std::uint32_t bits, half;
  std::memcpy(&bits, &size, sizeof bits);
  if (size < std::ldexp(1.f, -14)) {  // subnormal: multiples of 2^-24, which 0.5 rounds a sum to
    const float sum = size + 0.5f;
    std::memcpy(&half, &sum, sizeof half);
    half -= 0x3f000000u;
  } else {
    half = std::isnan(x) ? 0x7e00u : std::min(0x7c00u, ((bits + 0xfffu + (bits >> 13 & 1u)) >> 13) - (112u << 10));
  }
  to.bits = static_cast<std::uint16_t>(half | (std::signbit(x) ? 0x8000u : 0u));
}

template <class T>
std::vector<std::byte> rounded(const std::vector<float>& values) {
  std::vector<std::byte> data(values.size() * sizeof(T));
  for (std::size_t k = 0; k < values.size(); ++k) {
    T value;
    round_to(values[k], value);
    std::memcpy(&data[k * sizeof(T)], &value, sizeof(T));
  }
  return data;
}

template <class Bits>
void clear_pruned(std::byte* data, const std::vector<std::uint8_t>& mask, int threads) {
  const auto count = static_cast<std::int64_t>(mask.size());
  const tsenor::matrix_view<Bits> all(reinterpret_cast<Bits*>(data), 1, count);
  require(tsenor::apply_mask(tsenor::cpu_executor{threads}, all, {mask.data(), 1, count}, all));
}

template <class T>
double largest_finite(const T* weights, std::size_t count) {
  double largest = 0;
  for (std::size_t k = 0; k < count; ++k)
    if (const double size = std::fabs(tsenor::detail::to_arithmetic(weights[k])); std::isfinite(size))
      largest = std::max(largest, size);
  return largest;
}

// The power of two that brings weights of 64 bits into the range of floats; 0 where they are in it.
int exponent_of(const matrix& m) {
  if (m.type != weight_type::f64) return 0;
  const double largest =
      visit_weights(m, [&](const auto* w) { return largest_finite(w, static_cast<std::size_t>(m.rows * m.cols)); });
  constexpr int safe = 60;  // also of the squares
  if (largest == 0 || std::abs(std::ilogb(largest)) <= safe) return 0;
  return std::ilogb(largest);
}

}  // namespace

float_weights to_floats(const matrix& m) {
  float_weights result;
  result.exponent = exponent_of(m);
  result.values.resize(static_cast<std::size_t>(m.rows * m.cols));
  visit_weights(m, [&](const auto* weights) {
    for (std::size_t k = 0; k < result.values.size(); ++k) {
      const auto weight = tsenor::detail::to_arithmetic(weights[k]);
      result.values[k] = static_cast<float>(result.exponent == 0 ? weight : std::ldexp(weight, -result.exponent));
    }
  });
  return result;
}

void from_floats(const float_weights& weights, matrix& m) {
  switch (m.type) {
    case weight_type::f16:
      m.data = rounded<tsenor::float16>(weights.values);
      break;
    case weight_type::bf16:
      m.data = rounded<tsenor::bfloat16>(weights.values);
      break;
    case weight_type::f32:
      m.data = rounded<float>(weights.values);
      break;
    default:
      throw failure(exit_code::input, "weights of 8 and of 64 bits cannot be updated; convert them to BF16 or F32");
  }
}

void apply_bytes(std::vector<std::byte>& data, const std::vector<std::uint8_t>& mask, int threads) {
  switch (data.size() / std::max<std::size_t>(1, mask.size())) {
    case 1:
      return clear_pruned<std::uint8_t>(data.data(), mask, threads);
    case 2:
      return clear_pruned<std::uint16_t>(data.data(), mask, threads);
    case 4:
      return clear_pruned<std::uint32_t>(data.data(), mask, threads);
    default:
      return clear_pruned<std::uint64_t>(data.data(), mask, threads);
  }
}

std::vector<std::uint8_t> nonzeros(const std::vector<std::byte>& data, const tensor_entry& t) {
  const std::size_t unit = t.bits / 8;
  std::vector<std::uint8_t> result(data.size() / unit);
  for (std::size_t k = 0; k < result.size(); ++k) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &data[k * unit], unit);                // little-endian, as the files are
    if (t.type) bits &= ~(std::uint64_t(1) << (t.bits - 1));  // -0.0 is a zero too
    result[k] = bits != 0;
  }
  return result;
}

}  // namespace tool
