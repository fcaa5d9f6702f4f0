// The smallest call on a GPU: a mask of weights that are in device memory.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tsenor/tsenor.cuh"

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: there is no CUDA device");
    return 77;
  }
  constexpr std::int64_t rows = 256, cols = 512, count = rows * cols;
  std::vector<float> host_weights(count);
  for (std::int64_t i = 0; i < count; ++i) host_weights[i] = static_cast<float>(i * 7919 % 10007) - 5003;

  float* weights = nullptr;
  std::uint8_t* mask = nullptr;
  cudaMalloc(&weights, count * sizeof(float));
  cudaMalloc(&mask, count);
  cudaMemcpy(weights, host_weights.data(), count * sizeof(float), cudaMemcpyHostToDevice);

  const tsenor::status found = tsenor::find_mask<8, 16>(weights, rows, cols, mask);
  if (!found.ok()) return std::fprintf(stderr, "%s\n", found.message()), 1;

  std::vector<std::uint8_t> host_mask(count);
  const cudaError_t error = cudaMemcpy(host_mask.data(), mask, count, cudaMemcpyDeviceToHost);
  if (error != cudaSuccess) return std::fprintf(stderr, "%s\n", cudaGetErrorString(error)), 1;
  cudaFree(mask);
  cudaFree(weights);

  tsenor::mask_violations broken;
  const tsenor::status checked = tsenor::check_mask<8, 16>(tsenor::cpu_executor{}, {host_mask.data(), rows, cols},
                                                           &broken, tsenor::constraint::exactly);
  if (!checked.ok()) return std::fprintf(stderr, "%s\n", checked.message()), 1;
  const long long violations = broken.rows + broken.cols;
  std::printf("8:16 mask of %lld x %lld weights, %lld violations\n", static_cast<long long>(rows),
              static_cast<long long>(cols), violations);
  return violations == 0 ? 0 : 1;
}
