// The pruners on one layer of 4096 x 4096 at 16:32, transposable. Prints one JSON object of times in milliseconds, each
// the median of some runs after one that is not counted (of alps the only run). prune_torch.py does the same steps in
// PyTorch.
#include <cublas_v2.h>
#include <cusolverDn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "random_weights.cuh"
#include "tsenor/prune/prune.cuh"

namespace {

namespace prune = tsenor::prune;
constexpr std::int64_t side = 4096, tokens = 8192;
constexpr prune::static_pattern<16, 32> nm;

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "bench_prune_gpu: %s\n", what);
  std::exit(1);
}
void require(const tsenor::status& s) { require(s.ok(), s.message()); }
void require(cudaError_t e) { require(e == cudaSuccess, cudaGetErrorString(e)); }

template <class T>
T* allocate(std::size_t count) {
  T* data = nullptr;
  require(cudaMalloc(&data, count * sizeof(T)));
  return data;
}

// Each input is a mixture of neighbours, of its own scale.
__global__ void correlate(const float* noise, float* inputs) {
  const std::int64_t row = std::int64_t(blockIdx.x) * side, j = std::int64_t(blockIdx.y) * blockDim.x + threadIdx.x;
  float sum = 0, weight = 1;
  for (int k = 0; k < 16; ++k, weight *= 0.8f) sum += weight * noise[row + (j + side - k) % side];
  inputs[row + j] = sum * (0.5f + float(j % 7));
}

struct bench {
  prune::handles on;
  float *weights = allocate<float>(side * side), *gram = allocate<float>(side * side),
        *inverse = allocate<float>(side * side), *pruned = allocate<float>(side * side),
        *inputs = allocate<float>(tokens * side), *norms = allocate<float>(side);
  std::uint8_t* mask = allocate<std::uint8_t>(side * side);
  std::map<std::string, double> results;

  bench() {
    require(cublasCreate(&on.blas) == CUBLAS_STATUS_SUCCESS, "no cuBLAS");
    require(cusolverDnCreate(&on.solver) == CUSOLVER_STATUS_SUCCESS, "no cuSOLVER");
    require(cudaStreamCreateWithFlags(&on.stream, cudaStreamNonBlocking));
    cublasSetStream(on.blas, on.stream);
    cusolverDnSetStream(on.solver, on.stream);
    float* const noise = allocate<float>(tokens * side);
    require(tsenor_test::fill_random(weights, side * side, tsenor_test::random_weights::gaussian, 1));
    require(tsenor_test::fill_random(noise, tokens * side, tsenor_test::random_weights::gaussian, 2));
    correlate<<<dim3(tokens, side / 256), 256>>>(noise, inputs);
    require(cudaDeviceSynchronize());
    require(cudaFree(noise));
  }

  tsenor::matrix_view<const float> view() const { return {weights, side, side}; }
  prune::outputs<float> out() const {
    prune::outputs<float> o;
    o.pruned = pruned;
    o.mask = mask;
    return o;
  }

  template <class Call>
  void time(const std::string& name, int runs, const Call& call) {
    cudaEvent_t start, stop;
    require(cudaEventCreate(&start));
    require(cudaEventCreate(&stop));
    std::vector<float> times;
    for (int k = 0; k <= runs; ++k) {
      float ms = 0;
      require(cudaEventRecord(start, on.stream));
      require(call());
      require(cudaEventRecord(stop, on.stream));
      require(cudaEventSynchronize(stop));
      require(cudaEventElapsedTime(&ms, start, stop));
      if (k > 0 || runs == 0) times.push_back(ms);
    }
    std::sort(times.begin(), times.end());
    results[name + "_ms"] = times[times.size() / 2];
  }

  void error_of(const std::string& name) {
    const std::size_t bytes = prune::layer_error_workspace(side, side);
    auto* const memory = allocate<std::uint8_t>(bytes);
    auto* const sums = allocate<prune::layer_error_sums>(1);
    require(prune::layer_error(on, view(), {pruned, side, side}, gram, {memory, bytes}, sums));
    require(cudaStreamSynchronize(on.stream));
    prune::layer_error_sums found{};
    require(cudaMemcpy(&found, sums, sizeof found, cudaMemcpyDeviceToHost));
    results[name + "_error"] = found.error / found.norm;
    require(cudaFree(memory));
    require(cudaFree(sums));
  }
};

void saliency(bench& b) {
  b.time("gram_8192_tokens", 3, [&] { return prune::accumulate_gram(b.on, {b.inputs, tokens, side}, b.gram, true); });
  b.time("wanda", 10, [&] { return prune::wanda(nm, b.view(), b.gram, b.norms, b.out(), {}, b.on.stream); });
  b.error_of("wanda");
  b.time("wanda_row_wise", 10, [&] {
    return prune::wanda(nm, b.view(), b.gram, b.norms, b.out(), {prune::structure::row_wise, {}}, b.on.stream);
  });
  b.error_of("wanda_row_wise");
}

void sparsegpt(bench& b, const std::string& name, prune::structure structure) {
  prune::sparsegpt_options options;
  options.tokens = tokens;
  options.rule.structure = structure;
  std::size_t bytes = 0;
  require(prune::sparsegpt_workspace(b.on, nm, side, side, options, &bytes));
  auto* const memory = allocate<std::uint8_t>(bytes);
  b.time(name, 3, [&] { return prune::sparsegpt(b.on, nm, b.view(), b.gram, b.out(), {memory, bytes}, options); });
  b.error_of(name);
  b.results[name + "_workspace_mb"] = double(bytes) / 1e6;
  require(cudaFree(memory));
}

void alps(bench& b) {
  std::size_t prepare_bytes = 0, bytes = 0;
  require(prune::alps_prepare_workspace(b.on, side, &prepare_bytes));
  require(prune::alps_workspace(nm, side, side, &bytes));
  auto* const memory = allocate<std::uint8_t>(std::max(bytes, prepare_bytes));
  const prune::alps_inputs inputs{allocate<std::uint8_t>(prune::alps_inputs_size(side)), side};
  b.time("alps_prepare", 0, [&] { return prune::alps_prepare(b.on, b.gram, inputs, {memory, prepare_bytes}); });
  for (const auto& [name, arithmetic, until_settled] : {std::tuple{"alps", prune::arithmetic::fp32, true},
                                                        {"alps_300_iterations", prune::arithmetic::fp32, false},
                                                        {"alps_tf32", prune::arithmetic::tf32, true}}) {
    prune::alps_options options;
    options.arithmetic = arithmetic;
    options.until_settled = until_settled;
    prune::alps_report report{};
    b.time(name, 0, [&] {
      return prune::alps(b.on, nm, b.view(), inputs, b.out(), {memory, bytes}, options, &report);
    });
    b.error_of(name);
    b.results[std::string(name) + "_iterations"] = report.iterations;
    b.results[std::string(name) + "_inverses"] = report.inverses;
  }
  b.results["alps_workspace_mb"] = double(bytes) / 1e6;
  b.results["alps_prepare_workspace_mb"] = double(prepare_bytes) / 1e6;
  require(cudaFree(memory));
}

// What an iteration of alps consists of, one by one; and the inverse by Cholesky, which would take the place of the
// eigendecomposition.
void parts(bench& b) {
  const float one = 1, zero = 0;
  b.time("product", 5, [&] {
    return prune::detail::multiply(b.on, side, side, side, one, {b.weights, side}, {b.gram, side}, zero, b.inverse,
                                   side);
  });
  tsenor::mask_outputs<float> found;
  found.mask = b.mask;
  found.pruned = b.pruned;
  b.time("mask_cold", 10, [&] {
    return tsenor::find_mask<16, 32>(b.view(), found, {}, prune::detail::saliency{nullptr, true}, b.on.stream);
  });
  int count = 0, inverse_count = 0;
  cusolverDnSpotrf_bufferSize(b.on.solver, CUBLAS_FILL_MODE_LOWER, side, b.inverse, side, &count);
  cusolverDnSpotri_bufferSize(b.on.solver, CUBLAS_FILL_MODE_LOWER, side, b.inverse, side, &inverse_count);
  count = std::max(count, inverse_count);
  auto* const scratch = allocate<float>(std::size_t(count));
  auto* const info = allocate<int>(1);
  b.time("inverse_by_cholesky", 2, [&] {
    cudaMemcpyAsync(b.inverse, b.gram, side * side * sizeof(float), cudaMemcpyDeviceToDevice, b.on.stream);
    cusolverDnSpotrf(b.on.solver, CUBLAS_FILL_MODE_LOWER, side, b.inverse, side, scratch, count, info);
    return prune::detail::solver_status(
        cusolverDnSpotri(b.on.solver, CUBLAS_FILL_MODE_LOWER, side, b.inverse, side, scratch, count, info));
  });
}

}  // namespace

int main() {
  bench b;
  saliency(b);
  sparsegpt(b, "sparsegpt", prune::structure::transposable);
  sparsegpt(b, "sparsegpt_row_wise", prune::structure::row_wise);
  alps(b);
  parts(b);
  std::printf("{");
  const char* separator = "";
  for (const auto& [name, value] : b.results) {
    std::printf("%s\n  \"%s\": %.6g", separator, name.c_str(), value);
    separator = ",";
  }
  std::printf("\n}\n");
}
