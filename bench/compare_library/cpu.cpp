/// \file
/// find_mask on the CPU, float weights.
#include "interface.hpp"
#include "tsenor/find_mask.hpp"

extern "C" const char* find_mask_on_cpu(const mask_request* request, std::int32_t threads) {
  if (request->format != float32_weights) return "on the CPU the comparison uses float32 weights";
  const tsenor::pattern nm{request->n, request->m};
  return tsenor_bench::text_of(
      tsenor::find_mask(tsenor::cpu_executor{threads}, nm, tsenor_bench::weights_of<float>(*request),
                        tsenor_bench::outputs_of<float>(*request), tsenor_bench::options_of(*request)));
}
