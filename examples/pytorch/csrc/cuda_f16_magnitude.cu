#include "find_cuda.cuh"

template tsenor::status tsenor_torch::find_by_magnitude_on_cuda<tsenor::float16>(const request&, CUstream_st*);
