// One of two CUDA sources that use the same functions. Exits with 77 (skipped) where there is no GPU.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <vector>

#include "tsenor/tsenor.cuh"

tsenor::status find_mask_in_second_source(const float* weights, std::uint8_t* mask);

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return std::puts("skipped: no GPU"), 77;
  std::vector<float> weights(64);
  for (int i = 0; i < 64; i++) weights[i] = float(i * 37 % 64);
  float* device_weights = nullptr;
  std::uint8_t* device_masks = nullptr;
  cudaMalloc(&device_weights, 64 * sizeof(float));
  cudaMalloc(&device_masks, 2 * 64);
  cudaMemcpy(device_weights, weights.data(), 64 * sizeof(float), cudaMemcpyHostToDevice);

  const tsenor::status first = tsenor::find_mask<4, 8>(device_weights, 8, 8, device_masks);
  const tsenor::status second = find_mask_in_second_source(device_weights, device_masks + 64);

  std::vector<std::uint8_t> masks(2 * 64, 2);
  cudaMemcpy(masks.data(), device_masks, 2 * 64, cudaMemcpyDeviceToHost);
  if (!first || !second) return std::puts(first ? second.message() : first.message()), 1;
  for (int i = 0; i < 64; i++)
    if (masks[i] > 1 || masks[i] != masks[64 + i]) return std::puts("the two sources disagree"), 1;
  return 0;
}
