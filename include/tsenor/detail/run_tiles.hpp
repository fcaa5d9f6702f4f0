// A range of tiles, one after the other, on the machine that this is included for.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>

namespace tsenor::detail::TSENOR_MACHINE {

// Tiles of 4x4. Plain: of rows on boundaries of four, without prices and reports.
template <bool Plain, class Weight, class Importance>
__attribute__((noinline)) void run_tiles4(const problem<Weight, Importance>& p, std::int64_t begin, std::int64_t end) {
  for (std::int64_t tile = begin; tile < end; tile += tile_lanes::count)
    solve_tiles4<Plain, !Plain, tile_lanes>(p, tile, end, p.kept == constraint::at_most);
}
template <class Weight, class Importance>
void run_tiles4(const problem<Weight, Importance>& p, std::int64_t begin, std::int64_t end) {
  p.in_fours() && !p.certifies() ? run_tiles4<true>(p, begin, end) : run_tiles4<false>(p, begin, end);
}

template <int Width, class Weight, class Importance>
__attribute__((noinline)) void run_tiles(const problem<Weight, Importance>& p, std::int64_t begin, std::int64_t end) {
  typename lanes<Width>::memory memory;
  for (std::int64_t tile = begin; tile < end; tile++) {
    lanes<Width> l(memory);
    if (p.how == method::optimal)
      solve_optimal(l, p, tile);
    else
      solve_published(l, p, tile);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
