// What the pruners make of an entry of a gram matrix.
#pragma once

#include <cstdint>

#include "tsenor/detail/config.hpp"
#include "tsenor/detail/scale.hpp"

namespace tsenor::prune::detail {

// Neither NaN nor infinite, told by the bits, so that fast-math builds agree.
TSENOR_HOST_DEVICE inline bool is_number(float x) { return (tsenor::detail::bits_of(x) & 0x7f800000u) != 0x7f800000u; }

// Of an input's diagonal entry: a positive number. All other inputs are dead.
TSENOR_HOST_DEVICE inline bool is_live(float square) { return is_number(square) && square > 0; }

}  // namespace tsenor::prune::detail
