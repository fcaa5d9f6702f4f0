/// \file
/// The GPU's lanes on the host: the kernel's own stages in lock step. A collective that not all lanes of a warp reach
/// ends the program, and so does a sum of two 16-bit numbers that needs more bits.
#pragma once

#include "support/emulated_cuda.hpp"

#include <cstdint>
#include <memory>

#include "support/float_problem.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

#define TSENOR_MACHINE emulated
#define TSENOR_FN inline
#include "tsenor/detail/cuda_machine.cuh"

namespace tsenor_test {

inline constexpr lane_order both_orders[] = {lane_order::ascending, lane_order::descending};

/// Calls body(lanes, tile) on every lane, warp after warp, as the kernel does.
template <int Width, tsenor::detail::emulated::work For, class Problem, class Body>
void for_each_tile(const Problem& p, lane_order order, const Body& body) {
  using lanes = tsenor::detail::emulated::lanes<Width, For>;
  const auto memory = std::make_unique<typename lanes::memory>();
  for (std::int64_t first = 0; first < p.grid.tiles; first += lanes::tiles_per_warp)
    run_warp(
        [&] {
          lanes l(*memory);
          body(l, first + lanes::first_lane() / lanes::group);
        },
        order);
}

}  // namespace tsenor_test
