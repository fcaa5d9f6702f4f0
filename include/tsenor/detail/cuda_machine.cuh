// The GPU's machine, TSENOR_MACHINE (see lanes/machine.hpp): for the GPU itself in kernels.cuh, for tests on the host.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include "tsenor/detail/lanes/machine.hpp"
#include "tsenor/detail/lanes/pack.hpp"
#include "tsenor/detail/lanes/cuda_pairs.cuh"
#include "tsenor/detail/lanes/cuda_tile.cuh"
#include "tsenor/detail/lanes/cuda_arithmetic.cuh"
#include "tsenor/detail/lanes/cuda_warp.cuh"
#include "tsenor/detail/lanes/scaled_patches.cuh"
#include "tsenor/detail/lanes/cuda.cuh"
#include "tsenor/detail/stages.hpp"
#include "tsenor/detail/compress_tile24.cuh"
#include "tsenor/detail/lanes/end_machine.hpp"

#endif
