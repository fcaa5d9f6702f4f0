#include <cstdint>

#include "tsenor/find_mask.hpp"

tsenor::status run(const float* weights, std::uint8_t* mask) {
  return tsenor::find_mask<32, 65>(tsenor::cpu_executor{}, weights, 65, 65, mask);
}
