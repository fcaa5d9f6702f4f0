#include "find_cuda.cuh"

template tsenor::status tsenor_torch::find_on_cuda<tsenor::bfloat16>(const request&, CUstream_st*);
