// Exits with 0 if the mask of a matrix keeps half of every row.
#include <cstdint>
#include <vector>

#include "tsenor/tsenor.hpp"

int main() {
  std::vector<float> weights(64, 1.0f);
  std::vector<std::uint8_t> mask(64);
  tsenor::options exactly;
  exactly.constraint = tsenor::constraint::exactly;
  if (!tsenor::find_mask<4, 8>(tsenor::cpu_executor{}, weights.data(), 8, 8, mask.data(), exactly)) return 1;
  for (int row = 0; row < 8; row++) {
    int kept = 0;
    for (int col = 0; col < 8; col++) kept += mask[8 * row + col];
    if (kept != 4) return 1;
  }
  return 0;
}
