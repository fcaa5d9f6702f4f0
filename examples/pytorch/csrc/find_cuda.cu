// One solver for all: find_mask with the pattern as a value has the type of the weights as one, too.
#include "find_cuda.cuh"

template tsenor::status tsenor_torch::find_on_cuda<float>(const request&, CUstream_st*);
template tsenor::status tsenor_torch::find_on_cuda<double>(const request&, CUstream_st*);
template tsenor::status tsenor_torch::find_on_cuda<tsenor::float16>(const request&, CUstream_st*);
template tsenor::status tsenor_torch::find_on_cuda<tsenor::bfloat16>(const request&, CUstream_st*);
