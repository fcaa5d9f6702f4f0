// One of two sources that use the same functions.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tsenor/tsenor.hpp"

std::vector<std::uint8_t> mask_from_second_source(const std::vector<float>& weights);

int main() {
  std::vector<float> weights(64);
  for (int i = 0; i < 64; i++) weights[i] = float(i * 37 % 64);
  std::vector<std::uint8_t> mask(64);

  const tsenor::status s = tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights.data(), 8, 8, mask.data());

  if (!s) return std::puts(s.message()), 1;
  if (mask != mask_from_second_source(weights)) return std::puts("the two sources disagree"), 1;
  return 0;
}
