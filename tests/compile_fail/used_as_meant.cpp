// What the other sources here do wrongly, done rightly.
#include <cstdint>

#include "tsenor/find_mask.hpp"

tsenor::status run(const float* weights, std::uint8_t* mask) {
  const tsenor::cpu_executor cpu;
  if (const tsenor::status s = tsenor::find_mask<4, 8>(cpu, weights, 8, 8, mask); !s) return s;
  tsenor::mask_outputs<float> out;
  out.mask = mask;
  return tsenor::find_mask<4, 8>(cpu, tsenor::matrix_view(weights, 8, 8), out, {}, tsenor::squared{});
}
