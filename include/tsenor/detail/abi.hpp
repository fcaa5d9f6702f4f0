// The name of the inline namespace that holds kernels and the host code that launches them.
//
// A launcher template is a weak symbol: of two libraries in a process, one built for sm_80 and one for sm_90, the
// linker keeps one launcher, and it would look for its kernels in the wrong library. With the version and the
// architectures in the name they are different functions.
#pragma once

#include "tsenor/version.hpp"

#define TSENOR_ABI_JOIN_(a, b, c) a##_##b##_##c
#define TSENOR_ABI_JOIN(a, b, c) TSENOR_ABI_JOIN_(a, b, c)

#if defined(__CUDA_ARCH_LIST__)
// __CUDA_ARCH_LIST__ is what nvcc was asked for, such as 800,900, and the same in the host's and every device's pass.
#define TSENOR_ABI_PASTE_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...) \
  abi_sm##a##b##c##d##e##f##g##h##i##j##k##l##m##n##o##p
#define TSENOR_ABI_PASTE(...) TSENOR_ABI_PASTE_(__VA_ARGS__)
#define TSENOR_ABI_MACHINES TSENOR_ABI_PASTE(__CUDA_ARCH_LIST__, , , , , , , , , , , , , , , , )
#else
#define TSENOR_ABI_MACHINES abi_host
#endif

/// Such as abi_sm800900_0_1_0; used as `namespace detail { inline namespace TSENOR_ABI { ... } }`.
#define TSENOR_ABI TSENOR_ABI_VERSIONED(TSENOR_ABI_MACHINES)
#define TSENOR_ABI_VERSIONED(machines) \
  TSENOR_ABI_VERSIONED_(machines, TSENOR_ABI_JOIN(TSENOR_VERSION_MAJOR, TSENOR_VERSION_MINOR, TSENOR_VERSION_PATCH))
#define TSENOR_ABI_VERSIONED_(machines, version) TSENOR_ABI_VERSIONED_JOIN(machines, version)
#define TSENOR_ABI_VERSIONED_JOIN(machines, version) machines##_##version
