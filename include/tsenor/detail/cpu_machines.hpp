// The CPU's machines: the same stages compiled for each instruction set, chosen at run time, so that a program built
// with no -march flag uses what the processor has. The instruction set is a property of the functions (a target
// attribute that a pragma gives to all of them), which is why the stages are included once for each.
// TSENOR_BASELINE_ONLY, defined for all sources of a program, leaves the others out: a third of the code to compile,
// which a build under a sanitizer may prefer.
#pragma once

// Every header that the stages need, first, so that none of their functions gets a target attribute.
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tsenor/detail/certified.hpp"
#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

#if defined(__x86_64__) && !defined(TSENOR_BASELINE_ONLY)
#define TSENOR_CHOOSES_INSTRUCTION_SET
#endif

#if !defined( \
    __CUDA_ARCH__)  // nvcc's device passes have no use for this code, and their front end breaks on its vectors
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed among always-inline functions only
// Numbers of lanes are int everywhere, also where they are bounds of arrays; 16-bit numbers stay within their range.
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wold-style-cast"  // how the compilers write that the bits of a vector are another's

#define TSENOR_MACHINE baseline
#define TSENOR_VECTOR_LANES 4
#include "tsenor/detail/cpu_machine.hpp"

#if defined(TSENOR_CHOOSES_INSTRUCTION_SET)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,popcnt,lzcnt")
#endif
#define TSENOR_MACHINE avx2
#define TSENOR_VECTOR_LANES 8
#include "tsenor/detail/cpu_machine.hpp"
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt,lzcnt,prefer-vector-width=512")
#endif
#define TSENOR_MACHINE avx512
#define TSENOR_VECTOR_LANES 16
#include "tsenor/detail/cpu_machine.hpp"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#pragma GCC diagnostic pop
#endif

namespace tsenor::detail {

enum class instruction_set { baseline, avx2, avx512 };

// The best that this processor has and this program has code for.
inline instruction_set best_instruction_set() {
#if defined(TSENOR_CHOOSES_INSTRUCTION_SET)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return instruction_set::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return instruction_set::avx2;
#endif
  return instruction_set::baseline;
}

template <class Weight, class Importance>
void run_tiles4([[maybe_unused]] instruction_set isa, [[maybe_unused]] const problem<Weight, Importance>& problem,
                [[maybe_unused]] std::int64_t begin, [[maybe_unused]] std::int64_t end) {
#if !defined(__CUDA_ARCH__)
#if defined(TSENOR_CHOOSES_INSTRUCTION_SET)
  if (isa == instruction_set::avx512) return avx512::run_tiles4(problem, begin, end);
  if (isa == instruction_set::avx2) return avx2::run_tiles4(problem, begin, end);
#endif
  baseline::run_tiles4(problem, begin, end);
#endif
}

template <int Width, class Weight, class Importance>
void run_wide_tiles([[maybe_unused]] instruction_set isa, [[maybe_unused]] const problem<Weight, Importance>& problem,
                    [[maybe_unused]] std::int64_t begin, [[maybe_unused]] std::int64_t end) {
#if !defined(__CUDA_ARCH__)
#if defined(TSENOR_CHOOSES_INSTRUCTION_SET)
  if (isa == instruction_set::avx512) return avx512::run_tiles<Width>(problem, begin, end);
  if (isa == instruction_set::avx2) return avx2::run_tiles<Width>(problem, begin, end);
#endif
  baseline::run_tiles<Width>(problem, begin, end);
#endif
}

// AnyWeight: by one solver for all types of weights, but doubles have their own (any_weight.hpp says why). With4: M may
// be 4, whose tiles have a solver of their own, half of what there is to compile at width 8.
template <int Width, bool AnyWeight = false, bool With4 = true, class Weight, class Importance>
void run_tiles(instruction_set isa, const problem<Weight, Importance>& problem, std::int64_t begin, std::int64_t end) {
  if constexpr (Width == 8 && With4)
    if (problem.takes_tile4_solver()) return run_tiles4(isa, problem, begin, end);
  constexpr bool shares_solver = AnyWeight && !std::is_same_v<Weight, double>;
  run_wide_tiles<Width>(isa, as_solved<shares_solver>(problem), begin, end);
}

}  // namespace tsenor::detail

#undef TSENOR_CHOOSES_INSTRUCTION_SET
