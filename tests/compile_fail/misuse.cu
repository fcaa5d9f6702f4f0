// Each case is one misuse and does not compile.
#include <vector>

#include "tsenor/tsenor.cuh"

using weights = tsenor::matrix_view<const float>;
using outputs = tsenor::mask_outputs<float>;

#if defined(INT_WEIGHTS)
tsenor::status run(const int* w, std::uint8_t* mask) { return tsenor::find_mask<4, 8>(w, 8, 8, mask); }

#elif defined(STREAM_AS_IMPORTANCE)
tsenor::status run(weights w, outputs out, cudaStream_t stream) {
  return tsenor::find_mask<4, 8>(w, out, tsenor::options{}, stream);
}

#elif defined(IMPORTANCE_THAT_OWNS_MEMORY)
struct scaled {
  std::vector<float> factors;
  __host__ __device__ float operator()(float w, std::int64_t, std::int64_t, std::int64_t) const { return w; }
};

tsenor::status run(weights w, outputs out, const scaled& importance) {
  return tsenor::find_mask<4, 8>(w, out, {}, importance);
}

#elif defined(DEVICE_LAMBDA_ON_THE_CPU)
tsenor::status run(weights w, outputs out) {
  const auto importance = [] __device__(float x, std::int64_t, std::int64_t, std::int64_t) { return x * x; };
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, out, {}, importance);
}

#elif defined(DEVICE_LAMBDA_OF_THE_WEIGHT_ALONE)
tsenor::status run(weights w, outputs out) {
  const auto importance = [] __device__(float x) { return x * x; };
  return tsenor::find_mask<4, 8>(w, out, {}, importance);
}
#endif
