#include "cuda.cuh"

template const char* tsenor_bench::find_mask_on_gpu<float>(const mask_request&, cudaStream_t);
