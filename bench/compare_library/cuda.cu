/// \file
/// find_mask on the GPU: chooses the weight type. The pattern is a value, so all types share the solver.
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

}  // namespace tsenor_bench

extern "C" const char* find_mask_on_cuda(const mask_request* request, void* stream) {
  const auto on_stream = static_cast<cudaStream_t>(stream);
  switch (request->format) {
    case float32_weights:
      return tsenor_bench::find_mask_on_gpu<float>(*request, on_stream);
    case float16_weights:
      return tsenor_bench::find_mask_on_gpu<__half>(*request, on_stream);
    case bfloat16_weights:
      return tsenor_bench::find_mask_on_gpu<__nv_bfloat16>(*request, on_stream);
  }
  return "no such weight format";
}
