// One of the CPU's machines, TSENOR_MACHINE with TSENOR_VECTOR_LANES, included by cpu_machines.hpp once for each (see
// lanes/machine.hpp). Loops over rows are unrolled as far as it pays in speed and compile time (8:16 with g++ 12: 7.3,
// 7.6, 7.9, 9.4 million weights a second on one core at 1, 4, 8, 16); clang++ needs no advice, and nvcc's front end
// does not take it.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#define TSENOR_FN inline __attribute__((always_inline))
#define TSENOR_STAGE inline __attribute__((noinline))
#if defined(__CUDACC__)
#define TSENOR_UNROLL
#define TSENOR_UNROLL_PARTS
#elif defined(__clang__)
#define TSENOR_UNROLL
#define TSENOR_UNROLL_PARTS _Pragma("clang loop unroll(full)")
#else
#define TSENOR_UNROLL _Pragma("GCC unroll 16")
#define TSENOR_UNROLL_PARTS _Pragma("GCC unroll 16")
#endif
#include "tsenor/detail/lanes/machine.hpp"
#include "tsenor/detail/lanes/cpu_vectors.hpp"
#include "tsenor/detail/lanes/pack.hpp"
#include "tsenor/detail/lanes/cpu_lane_values.hpp"
#include "tsenor/detail/lanes/cpu_tile.hpp"
#include "tsenor/detail/lanes/scaled_rows.hpp"
#include "tsenor/detail/lanes/cpu.hpp"
#include "tsenor/detail/stages.hpp"
#include "tsenor/detail/run_tiles.hpp"
#include "tsenor/detail/lanes/end_machine.hpp"

#endif
