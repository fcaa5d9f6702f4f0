#include "find_cuda.cuh"

template tsenor::status tsenor_torch::find_on_cuda<tsenor::float16>(const request&, CUstream_st*);
