// A user-defined importance, a stream, and a CUDA graph that is captured once and launched for all new weights.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tsenor/tsenor.cuh"

// First-order saliency |weight * gradient|. The gradients are in device memory, like the weights.
struct saliency {
  const float* gradients;
  std::int64_t cols;
  __host__ __device__ float operator()(float weight, std::int64_t row, std::int64_t col, std::int64_t) const {
    return fabsf(weight * gradients[row * cols + col]);
  }
};

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: there is no CUDA device");
    return 77;
  }
  constexpr std::int64_t rows = 256, cols = 512, count = rows * cols;
  float *weights = nullptr, *gradients = nullptr;
  tsenor::mask_violations *broken = nullptr, result;
  tsenor::mask_outputs<float> out;
  cudaMalloc(&weights, count * sizeof(float));
  cudaMalloc(&gradients, count * sizeof(float));
  cudaMalloc(&out.mask.data, count);
  cudaMalloc(&broken, sizeof result);

  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t step;
  cudaStreamCreate(&stream);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  const tsenor::status found = tsenor::find_mask<4, 8>(tsenor::matrix_view<float>(weights, rows, cols), out,
                                                       tsenor::options{}, saliency{gradients, cols}, stream);
  const tsenor::status checked = tsenor::check_mask<4, 8>({out.mask.data, rows, cols}, broken,
                                                          tsenor::constraint::exactly, tsenor::edge::reject, stream);
  cudaStreamEndCapture(stream, &graph);
  if (!found.ok() || !checked.ok()) return std::fprintf(stderr, "%s; %s\n", found.message(), checked.message()), 1;
  cudaGraphInstantiate(&step, graph, 0);

  std::vector<float> values(count);
  for (int k = 1; k <= 3; ++k) {
    for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(i * k % 1009) - 500;
    cudaMemcpyAsync(weights, values.data(), count * sizeof(float), cudaMemcpyHostToDevice, stream);
    cudaMemcpyAsync(gradients, values.data(), count * sizeof(float), cudaMemcpyHostToDevice, stream);
    cudaGraphLaunch(step, stream);
    cudaMemcpyAsync(&result, broken, sizeof result, cudaMemcpyDeviceToHost, stream);
    if (cudaStreamSynchronize(stream) != cudaSuccess) return std::fprintf(stderr, "the device failed\n"), 1;
    std::printf("step %d: %lld violations\n", k, static_cast<long long>(result.rows + result.cols));
    if (result.rows + result.cols != 0) return 1;
  }
}
