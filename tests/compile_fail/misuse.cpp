// Each case is one misuse and does not compile; without a case it is the use that is meant.
#include <cstdint>

#include "tsenor/find_mask.hpp"

using weights = tsenor::matrix_view<const float>;
using outputs = tsenor::mask_outputs<float>;

#if defined(N_IS_ZERO)
tsenor::status run(const float* w, std::uint8_t* mask) {
  return tsenor::find_mask<0, 8>(tsenor::cpu_executor{}, w, 8, 8, mask);
}

#elif defined(N_IS_ABOVE_M)
tsenor::status run(const float* w, std::uint8_t* mask) {
  return tsenor::find_mask<9, 8>(tsenor::cpu_executor{}, w, 8, 8, mask);
}

#elif defined(M_IS_ABOVE_64)
tsenor::status run(const float* w, std::uint8_t* mask) {
  return tsenor::find_mask<32, 65>(tsenor::cpu_executor{}, w, 65, 65, mask);
}

#elif defined(INT_WEIGHTS)
tsenor::status run(const int* w, std::uint8_t* mask) {
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, 8, 8, mask);
}

#elif defined(INT_WEIGHTS_FOR_A_PRUNER)
#include "tsenor/prune/prune.hpp"

tsenor::status run(tsenor::matrix_view<const int> w, tsenor::prune::outputs<int> out) {
  return tsenor::prune::magnitude(tsenor::cpu_executor{}, tsenor::pattern{4, 8}, w, out);
}

#elif defined(INT_AS_IMPORTANCE)
tsenor::status run(weights w, outputs out) { return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, out, {}, 3); }

#elif defined(IMPORTANCE_OF_THE_WEIGHT_ALONE)
tsenor::status run(weights w, outputs out) {
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, out, {}, [](float x) { return x * x; });
}

#elif defined(IMPORTANCE_THAT_CANNOT_BE_COPIED)
#include <memory>

struct scaled {
  std::unique_ptr<float> factor;
  float operator()(float w, std::int64_t, std::int64_t, std::int64_t) const { return w * *factor; }
};

tsenor::status run(weights w, outputs out) {
  return tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, out, {}, scaled{});
}

#elif defined(INT_WEIGHTS_TO_FLOAT8)
#include "tsenor/sparse24/layout.hpp"

tsenor::status run(tsenor::matrix_view<const int> w, tsenor::sparse24::scale by, void* to) {
  return tsenor::sparse24::compress(w, {}, tsenor::sparse24::operand::weights, by, to);
}

#elif defined(FLOAT_GRADIENT_TO_ESTIMATE)
#include "tsenor/sparse24/mvue.hpp"

tsenor::status run(tsenor::matrix_view<const float> gradient, void* to) {
  return tsenor::sparse24::compress_mvue(gradient, to, {});
}

#elif defined(DISCARDED_STATUS)
void run(const float* w, std::uint8_t* mask) { tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, w, 8, 8, mask); }

#else
tsenor::status run(const float* w, std::uint8_t* mask) {
  const tsenor::cpu_executor cpu;
  if (const tsenor::status s = tsenor::find_mask<4, 8>(cpu, w, 8, 8, mask); !s) return s;
  outputs out;
  out.mask = mask;
  return tsenor::find_mask<4, 8>(cpu, weights(w, 8, 8), out, {}, tsenor::squared{});
}
#endif
