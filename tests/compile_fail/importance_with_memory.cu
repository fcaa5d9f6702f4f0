#include <vector>

#include "tsenor/find_mask.cuh"

struct scaled {
  std::vector<float> factors;
  __host__ __device__ float operator()(float w, std::int64_t, std::int64_t, std::int64_t) const { return w; }
};

tsenor::status run(tsenor::matrix_view<const float> weights, tsenor::mask_outputs<float> out,
                   const scaled& importance) {
  return tsenor::find_mask<4, 8>(weights, out, {}, importance);
}
