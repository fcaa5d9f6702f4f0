// What the code of a machine is written with. The parts of a machine are the files under lanes/ and stages/ and the
// pipelines over them: one text, which becomes each machine's code. cpu_machine.hpp and cuda_machine.cuh list the
// parts in order, and are included once for each machine, each time into a namespace of its own. So parts have no
// include guards and do not include each other: one that a list lacks is a name that is not found, and one that it has
// twice is defined twice. A part that is included by itself stands for all machines of its kind. Whoever begins a
// machine sets these:
//   TSENOR_MACHINE   the namespace
//   TSENOR_FN        what precedes a function
//   TSENOR_STAGE     what precedes a stage, which is the same for all weight types: on the CPU one function for all
//   TSENOR_APART     what precedes a function that is called where a tile is hard, so that its registers are its own
//   TSENOR_UNROLL    what precedes a loop over a tile's rows or columns, so that arrays live in registers if they can
//   TSENOR_ROLLED    what precedes a loop that is to stay one
//   TSENOR_UNROLL_PARTS  what precedes a loop over the parts of a lane value
//   TSENOR_VECTOR_LANES  on the CPU, 32-bit numbers in a hardware vector
// The defaults of those that a machine may leave out are below; end_machine.hpp ends a machine.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#if !defined(TSENOR_STAGE)
#define TSENOR_STAGE TSENOR_FN
#endif
#if !defined(TSENOR_APART)
#define TSENOR_APART TSENOR_STAGE
#endif
#if !defined(TSENOR_ROLLED)
#define TSENOR_ROLLED
#endif
#if !defined(TSENOR_UNROLL)
#define TSENOR_UNROLL
#endif
#if !defined(TSENOR_UNROLL_PARTS)
#define TSENOR_UNROLL_PARTS
#endif

#endif
