#include "tsenor/find_mask.cuh"

tsenor::status run(tsenor::matrix_view<const float> weights, tsenor::mask_outputs<float> out) {
  const auto importance = [] __device__(float w) { return w * w; };
  return tsenor::find_mask<4, 8>(weights, out, {}, importance);
}
