// The C++ call that the tests compare with: a float matrix [rows, cols] on standard input, its 8:16 mask on standard
// output.
#include <cstdio>
#include <cstdlib>
#include <tsenor/find_mask.hpp>
#include <vector>

int main(int, char** sizes) {
  const std::int64_t rows = std::atoll(sizes[1]), cols = std::atoll(sizes[2]);
  std::vector<float> weights(rows * cols);
  std::vector<std::uint8_t> mask(weights.size());
  if (std::fread(weights.data(), sizeof(float), weights.size(), stdin) != weights.size()) return 1;
  if (!tsenor::find_mask<8, 16>(tsenor::cpu_executor{}, weights.data(), rows, cols, mask.data()).ok()) return 1;
  return std::fwrite(mask.data(), 1, mask.size(), stdout) == mask.size() ? 0 : 1;
}
