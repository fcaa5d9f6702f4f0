#include "cuda.cuh"

template const char* tsenor_bench::find_mask_on_gpu<__nv_bfloat16>(const mask_request&, cudaStream_t);
