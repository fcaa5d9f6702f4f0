// Microseconds of a C++ call of find_mask on a 512 x 512 float matrix at 16:32, many in a row; what call_cost.py
// compares with.
#include <cstdio>
#include <tsenor/find_mask.cuh>
#include <vector>

int main() {
  constexpr int size = 512, calls = 2000;
  std::vector<float> host(size * size);
  std::uint64_t state = 1;
  for (float& x : host)
    x = float(static_cast<std::int64_t>(state = state * 6364136223846793005u + 1442695040888963407u) >> 40);
  float* weights = nullptr;
  std::uint8_t* mask = nullptr;
  cudaMalloc(&weights, host.size() * sizeof(float));
  cudaMalloc(&mask, host.size());
  cudaMemcpy(weights, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice);
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  for (int k = -10; k < calls; k++) {
    if (k == 0) cudaEventRecord(begin);
    if (!tsenor::find_mask<16, 32>(weights, size, size, mask).ok()) return 1;
  }
  cudaEventRecord(end);
  float ms = 0;
  if (cudaEventSynchronize(end) != cudaSuccess || cudaEventElapsedTime(&ms, begin, end) != cudaSuccess) return 1;
  std::printf("%.2f\n", 1e3 * ms / calls);
}
