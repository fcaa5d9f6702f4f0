/// \file
/// A checked call as the stages see it, for tests that run stages of their own choice.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tsenor/detail/problem.hpp"

namespace tsenor::detail {
enum class instruction_set;  // cpu_machines.hpp
}

namespace tsenor_test {

using float_problem = tsenor::detail::problem<float, tsenor::magnitude>;

/// A call for the dense matrix `[rows, cols]`; `weights` must outlive it.
template <class T>
tsenor::detail::problem<T, tsenor::magnitude> problem_of(tsenor::pattern nm, const std::vector<T>& weights,
                                                         std::int64_t rows, std::int64_t cols,
                                                         const tsenor::options& opts,
                                                         const tsenor::mask_outputs<T>& out = {}) {
  auto p = tsenor::detail::make_problem<T>(nm, {weights.data(), rows, cols}, out, opts, tsenor::magnitude{});
  const tsenor::status s = tsenor::detail::check_problem(p, opts);
  EXPECT_TRUE(s.ok()) << s.message();
  return p;
}

/// A call for tiles one below the other.
inline float_problem problem_of(tsenor::pattern nm, const std::vector<float>& tiles, const tsenor::options& opts,
                                const tsenor::mask_outputs<float>& out = {}) {
  return problem_of(nm, tiles, std::int64_t(tiles.size()) / nm.m, nm.m, opts, out);
}

/// Solves all tiles of a call with one instruction set, which the processor has to have; compiled in solve.cpp.
void run_float_tiles(tsenor::detail::instruction_set isa, const float_problem& p);

}  // namespace tsenor_test
