// What the code of a machine is written with. Everything under lanes/ and stages/ is included once for each machine
// (plain x86-64, AVX2, AVX-512, CUDA), each time into a namespace of its own, so that one text becomes each machine's code;
// their include guards last until end_machine.hpp, which ends a machine. Whoever includes them sets these:
//   TSENOR_MACHINE   the namespace
//   TSENOR_FN        what precedes a function
//   TSENOR_STAGE     what precedes a stage, which is the same for all weight types: on the CPU one function for all of them
//   TSENOR_UNROLL    what precedes a loop over a tile's rows or columns, so that arrays live in registers where they can
//   TSENOR_UNROLL_PARTS  what precedes a loop over the parts of a lane value
//   TSENOR_VECTOR_LANES  on the CPU, 32-bit numbers in a hardware vector
// The defaults below let each of those files compile alone.

#if !defined(TSENOR_MACHINE)
#define TSENOR_MACHINE generic
#endif
#if !defined(TSENOR_FN)
#define TSENOR_FN inline __attribute__((always_inline))
#endif
#if !defined(TSENOR_STAGE)
#define TSENOR_STAGE TSENOR_FN
#endif
#if !defined(TSENOR_UNROLL)
#define TSENOR_UNROLL
#endif
#if !defined(TSENOR_UNROLL_PARTS)
#define TSENOR_UNROLL_PARTS
#endif
#if !defined(TSENOR_VECTOR_LANES)
#define TSENOR_VECTOR_LANES 4
#endif
