#include "find_cuda.cuh"

template tsenor::status tsenor_torch::find_on_cuda<float>(const request&, CUstream_st*);
