#include "tsenor/tsenor.cuh"

tsenor::status run(tsenor::matrix_view<const float> weights, tsenor::mask_outputs<float> out) {
  const auto importance = [] __device__(float w, std::int64_t, std::int64_t, std::int64_t) { return w * w; };
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights, out, {}, importance);
}
