// A weight whose type is a value: what a solver is compiled for once instead of once for each type.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tsenor/weight_types.hpp"

namespace tsenor::detail {

// Importances of binary64 are doubles, those of all others floats.
enum class weight_format : std::uint8_t { binary32, binary16, bfloat16, e4m3, e5m2, binary64 };

// In memory that problem::format tells about, and its prices too. It has no definition, so that nothing counts in its
// size by mistake.
struct any_weight;

template <class Weight>
constexpr weight_format format_of() {
  if (std::is_same_v<Weight, float16>) return weight_format::binary16;
  if (std::is_same_v<Weight, bfloat16>) return weight_format::bfloat16;
  if (std::is_same_v<Weight, float8_e4m3>) return weight_format::e4m3;
  if (std::is_same_v<Weight, float8_e5m2>) return weight_format::e5m2;
  return std::is_same_v<Weight, double> ? weight_format::binary64 : weight_format::binary32;
}

// Whether lanes L have doubles among all types. Only the GPU's general kernels have: a second load would cost the
// others registers. On the CPU doubles have a solver of their own: a second load and report would double the compile
// time of the rest.
template <class L, class Weight>
inline constexpr bool may_be_double = std::is_same_v<Weight, any_weight> && !L::one_at_a_time && !L::whole;

}  // namespace tsenor::detail
