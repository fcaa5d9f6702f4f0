// The two decorations that let one function serve host and device code.
#pragma once

#if defined(__CUDACC__)
#define TSENOR_HOST_DEVICE __host__ __device__
#else
#define TSENOR_HOST_DEVICE
#endif
