#include "tsenor/find_mask.hpp"

tsenor::status run(tsenor::matrix_view<const float> weights, tsenor::mask_outputs<float> out) {
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights, out, {}, [](float w) { return w * w; });
}
