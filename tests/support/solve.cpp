#include "solve.hpp"

#include "float_problem.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {

tsenor::status find_float_mask(tsenor::cpu_executor executor, tsenor::pattern p,
                               tsenor::matrix_view<const float> weights, const tsenor::mask_outputs<float>& out,
                               const tsenor::options& opts) {
  return find_mask(executor, p, weights, out, opts);
}

void run_float_tiles(tsenor::detail::instruction_set isa, const float_problem& p) {
  // As find_mask's run-time entry runs them, so that the solver is compiled once for both.
  const auto run = [&](auto width) { tsenor::detail::run_tiles<width, true>(isa, p, 0, p.grid.tiles); };
  switch (tsenor::detail::lane_width(p.nm.m)) {
    case 8:
      return run(std::integral_constant<int, 8>{});
    case 16:
      return run(std::integral_constant<int, 16>{});
    case 32:
      return run(std::integral_constant<int, 32>{});
    default:
      return run(std::integral_constant<int, 64>{});
  }
}

}  // namespace tsenor_test
