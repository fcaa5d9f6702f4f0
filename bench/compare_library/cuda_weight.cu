/// \file
/// find_mask on the GPU for the weight type TSENOR_WEIGHT; compiled once for each, so that the types compile side by
/// side.
#include "cuda.cuh"

template const char* tsenor_bench::find_mask_on_gpu<TSENOR_WEIGHT>(const mask_request&, cudaStream_t);
