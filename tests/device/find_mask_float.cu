#include "solve_on_gpu.cuh"
#include "tsenor/find_mask.cuh"

namespace tsenor_test {

tsenor::status find_mask_float(tsenor::pattern nm, tsenor::matrix_view<const float> weights,
                               tsenor::mask_outputs<float> out, const tsenor::options& opts, cudaStream_t stream) {
  return tsenor::find_mask(nm, weights, out, opts, tsenor::magnitude{}, stream);
}

}  // namespace tsenor_test
