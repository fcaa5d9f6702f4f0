/// \file
/// find_mask on the GPU for one weight type. cuda_weight.cu instantiates it, once for each type.
#pragma once

#include <cuda_runtime.h>

#include "interface.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_bench {

template <class Weight>
const char* find_mask_on_gpu(const mask_request& request, cudaStream_t stream) {
  const tsenor::pattern nm{request.n, request.m};
  return text_of(tsenor::find_mask(nm, weights_of<Weight>(request), outputs_of<Weight>(request), options_of(request),
                                   tsenor::magnitude{}, stream));
}

extern template const char* find_mask_on_gpu<float>(const mask_request&, cudaStream_t);
extern template const char* find_mask_on_gpu<__half>(const mask_request&, cudaStream_t);
extern template const char* find_mask_on_gpu<__nv_bfloat16>(const mask_request&, cudaStream_t);

}  // namespace tsenor_bench
