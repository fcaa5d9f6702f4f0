// What is asked of the compiler, and the two decorations that let one function serve host and device code.
#pragma once

#if defined(__CUDACC_VER_MAJOR__) && __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ < 1108
#error "tsenor: this nvcc is too old: nvcc 11.8 or later is needed"
#endif
#if !defined(__GNUC__)
#error "tsenor: this compiler is not supported: g++ 11 or later, or clang++ 13 or later, is needed"
#elif defined(__clang__) && __clang_major__ < 13
#error "tsenor: this clang++ is too old: clang++ 13 or later, or g++ 11 or later, is needed"
#elif !defined(__clang__) && __GNUC__ < 11
#error "tsenor: this g++ is too old: g++ 11 or later, or clang++ 13 or later, is needed"
#elif __cplusplus < 201703L
#error "tsenor: C++17 or later is needed: compile with -std=c++17"
#endif

#if defined(__CUDACC__)
#define TSENOR_HOST_DEVICE __host__ __device__
#else
#define TSENOR_HOST_DEVICE
#endif
