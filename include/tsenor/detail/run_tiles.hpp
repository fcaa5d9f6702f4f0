// A range of tiles, one after the other, on the machine that this is included for.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>

namespace tsenor::detail::TSENOR_MACHINE {

// Tiles of 4x4. Plain: what problem.is_plain4() says.
template <bool Plain, class Weight, class Importance>
__attribute__((noinline)) void run_tiles4(const problem<Weight, Importance>& problem, std::int64_t begin,
                                          std::int64_t end) {
  for (std::int64_t tile = begin; tile < end; tile += tile_lanes::count)
    solve_tiles4<Plain, !Plain, tile_lanes>(problem, tile, end, problem.kept == constraint::at_most);
}
template <class Weight, class Importance>
void run_tiles4(const problem<Weight, Importance>& problem, std::int64_t begin, std::int64_t end) {
  problem.is_plain4() ? run_tiles4<true>(problem, begin, end) : run_tiles4<false>(problem, begin, end);
}

template <int Width, class Weight, class Importance>
__attribute__((noinline)) void run_tiles(const problem<Weight, Importance>& problem, std::int64_t begin,
                                         std::int64_t end) {
  typename lanes<Width>::memory memory;
  for (std::int64_t tile = begin; tile < end; tile++) {
    lanes<Width> l(memory);
    if (problem.how == method::optimal)
      solve_optimal(l, problem, tile);
    else
      solve_published(l, problem, tile);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
