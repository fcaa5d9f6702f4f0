// One of the CPU's machines, TSENOR_MACHINE with TSENOR_VECTOR_LANES, included by cpu_machines.hpp once for each.
#define TSENOR_FN inline __attribute__((always_inline))
#define TSENOR_UNROLL  // rows live in the first-level cache
#if defined(__clang__)
#define TSENOR_UNROLL_PARTS _Pragma("clang loop unroll(full)")
#else
#define TSENOR_UNROLL_PARTS _Pragma("GCC unroll 16")
#endif
#include "tsenor/detail/run_tiles.hpp"
#include "tsenor/detail/lanes/end_machine.hpp"
