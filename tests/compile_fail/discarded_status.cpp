#include <cstdint>

#include "tsenor/find_mask.hpp"

void run(const float* weights, std::uint8_t* mask) {
  tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights, 8, 8, mask);
}
