/// \file
/// The GPU's entry: chooses the weight type.
#include "cuda.cuh"

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
