// Every kind of lambda that nvcc's --extended-lambda has, as an importance.
#include "tsenor/tsenor.cuh"

using view = tsenor::matrix_view<const float>;
using outputs = tsenor::mask_outputs<float>;
using tsenor::status;

status for_the_device(const view& weights, const outputs& out, const float* norms) {
  const auto importance = [norms] __device__(float w, std::int64_t, std::int64_t col, std::int64_t) {
    return w * w * norms[col];
  };
  return tsenor::find_mask<2, 4>(weights, out, {}, importance);
}

status generic(const view& weights, const outputs& out, double factor) {
  const auto importance = [factor] __device__(auto w, auto, auto, auto) { return w * w * factor; };
  return tsenor::find_mask<2, 4>(weights, out, {}, importance);
}

status for_both(const view& weights, const outputs& out, float factor) {
  const auto importance = [factor] __host__ __device__(float w, std::int64_t, std::int64_t, std::int64_t) {
    return w * w * factor;
  };
  const status s = tsenor::find_mask<2, 4>(weights, out, {}, importance);
  return s.ok() ? tsenor::find_mask<2, 4>(tsenor::cpu_executor{}, weights, out, {}, importance) : s;
}
