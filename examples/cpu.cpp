// Masks on the CPU, with no CUDA toolkit installed: g++ -std=c++17 -O2 -I include examples/cpu.cpp -pthread
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "tsenor/tsenor.hpp"

int main() {
  constexpr std::int64_t rows = 256, cols = 512;
  std::vector<float> weights(rows * cols);
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& w : weights) w = normal(generator);

  // Every 16 x 16 tile of the mask keeps 8 weights in each row and in each column, and no such mask keeps more.
  std::vector<std::uint8_t> mask(weights.size());
  const tsenor::cpu_executor cpu;
  const tsenor::status found = tsenor::find_mask<8, 16>(cpu, weights.data(), rows, cols, mask.data());
  if (!found.ok()) return std::fprintf(stderr, "%s\n", found.message()), 1;

  tsenor::mask_violations broken;
  const tsenor::status checked =
      tsenor::check_mask<8, 16>(cpu, {mask.data(), rows, cols}, &broken, tsenor::constraint::exactly);
  if (!checked.ok()) return std::fprintf(stderr, "%s\n", checked.message()), 1;

  double kept = 0, total = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    total += std::abs(weights[i]);
    kept += mask[i] ? std::abs(weights[i]) : 0;
  }
  const long long violations = broken.rows + broken.cols;
  std::printf("8:16 keeps %.2f %% of the importance, %lld violations\n", 100 * kept / total, violations);
  return violations == 0 ? 0 : 1;
}
