#include <cstdint>

#include "tsenor/find_mask.hpp"

tsenor::status run(const float* weights, std::uint8_t* mask) {
  return tsenor::find_mask<9, 8>(tsenor::cpu_executor{}, weights, 8, 8, mask);
}
