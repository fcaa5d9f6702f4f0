// The other of two sources that use the same functions.
#include <cstdint>
#include <vector>

#include "tsenor/tsenor.hpp"

std::vector<std::uint8_t> mask_from_second_source(const std::vector<float>& weights) {
  std::vector<std::uint8_t> mask(weights.size());
  const tsenor::status s = tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights.data(), 8, 8, mask.data());
  if (!s) mask.clear();
  return mask;
}
