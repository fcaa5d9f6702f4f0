/// \file
/// find_mask on the GPU: device time of one call, weights and mask resident.
#include <benchmark/benchmark.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "gpu_data.cuh"
#include "tsenor/check_mask.cuh"
#include "tsenor/find_mask.cuh"

namespace tsenor_bench {
namespace {

/// Every repetition times one call, so that the median over repetitions is the median call.
constexpr int timed_calls = 31;
/// Enqueued in front of the timed call: the device is busy when that arrives, so its launch overhead stays out.
constexpr int warm_up_calls = 3;

bool failed = false;  // whether a call or a mask was wrong

void fail(benchmark::State& state, const char* message) {
  failed = true;
  state.SkipWithError(message);
}

template <class Weight>
tsenor::status solve(tsenor::pattern nm, const tsenor::options& opts, const rotating_matrices<Weight>& data,
                     cudaStream_t stream) {
  tsenor::mask_outputs<Weight> out;
  out.mask = data.mask();
  const tsenor::matrix_view<const Weight> weights(data.weights(), data.side(), data.side());
  return tsenor::find_mask(nm, weights, out, opts, tsenor::magnitude{}, stream);
}

/// What is wrong with the current mask; null if nothing is.
template <class Weight>
const char* error_in_mask(tsenor::pattern nm, const tsenor::options& opts, const rotating_matrices<Weight>& data,
                          cudaStream_t stream) {
  const device_array<tsenor::mask_violations> found(1);
  const tsenor::matrix_view<const std::uint8_t> mask(data.mask(), data.side(), data.side());
  const tsenor::status checked = tsenor::check_mask(nm, mask, found.data(), opts.constraint, opts.edge, stream);
  if (!checked.ok()) return checked.message();
  tsenor::mask_violations v{};
  require(cudaMemcpyAsync(&v, found.data(), sizeof v, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  require(cudaStreamSynchronize(stream), "find_mask or check_mask");
  return v.rows == 0 && v.cols == 0 ? nullptr : "the mask breaks its pattern";
}

template <class Weight>
void find_mask(benchmark::State& state, tsenor::pattern nm, const tsenor::options& opts,
               rotating_matrices<Weight>& data) {
  device_timer timer;
  for (auto _ : state) {
    data.poison_masks(timer.stream());
    tsenor::status done;
    for (int k = 0; k < warm_up_calls && done.ok(); ++k, data.next()) done = solve(nm, opts, data, timer.stream());
    timer.start();
    if (done.ok()) done = solve(nm, opts, data, timer.stream());
    state.SetIterationTime(timer.stop());
    const char* const error = done.ok() ? error_in_mask(nm, opts, data, timer.stream()) : done.message();
    data.next();
    if (error != nullptr) return fail(state, error);
  }
  const double weights = double(data.elements());
  state.counters["weights_per_second"] = benchmark::Counter(weights, benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(state.iterations() * data.elements() * std::int64_t(sizeof(Weight) + 1));
}

template <class Weight>
void add(const char* method, tsenor::pattern nm, const tsenor::options& opts, const char* type,
         rotating_matrices<Weight>& data) {
  const std::string side = std::to_string(data.side());
  const std::string name = std::string(method) + "/" + std::to_string(nm.n) + ":" + std::to_string(nm.m) +
                           (opts.constraint == tsenor::constraint::exactly ? "/exactly/" : "/at_most/") + type + "/" +
                           side + "x" + side;
  benchmark::RegisterBenchmark(name.c_str(),
                               [nm, opts, &data](benchmark::State& state) { find_mask(state, nm, opts, data); })
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(timed_calls)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kMillisecond);
}

constexpr std::array<tsenor::pattern, 6> patterns = {{{2, 4}, {4, 8}, {8, 16}, {16, 32}, {8, 32}, {32, 64}}};

template <class Weight>
void add_all(const char* type, rotating_matrices<Weight>& large, rotating_matrices<Weight>& small) {
  const auto optimal = tsenor::options::optimal();
  for (const tsenor::pattern nm : patterns) add("optimal", nm, optimal, type, large);
  auto at_most = optimal;
  at_most.constraint = tsenor::constraint::at_most;
  add("optimal", {16, 32}, at_most, type, large);
  for (const tsenor::pattern nm : patterns) add("optimal", nm, optimal, type, small);
  const auto published = tsenor::options::published();
  for (const tsenor::pattern nm : patterns) add("published", nm, published, type, large);
  auto exactly = published;
  exactly.constraint = tsenor::constraint::exactly;
  add("published", {16, 32}, exactly, type, large);
  for (const tsenor::pattern nm : patterns) add("published", nm, published, type, small);
}

/// Bytes read plus bytes written a second by a device-to-device copy, the median of several.
double copy_bandwidth(rotating_matrices<float>& data) {
  const device_array<float> target(data.elements());
  device_timer timer;
  std::vector<double> seconds;
  for (int k = 0; k < timed_calls + warm_up_calls; ++k, data.next()) {
    timer.start();
    require(cudaMemcpyAsync(target.data(), data.weights(), target.bytes(), cudaMemcpyDeviceToDevice, timer.stream()),
            "cudaMemcpyAsync");
    const double passed = timer.stop();
    if (k >= warm_up_calls) seconds.push_back(passed);
  }
  std::nth_element(seconds.begin(), seconds.begin() + timed_calls / 2, seconds.end());
  return 2 * double(target.bytes()) / seconds[timed_calls / 2];
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void add_context(rotating_matrices<float>& large) {
  int device = 0, driver = 0, runtime = 0;
  cudaDeviceProp properties{};
  require(cudaGetDevice(&device), "cudaGetDevice");
  require(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  require(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  benchmark::AddCustomContext("device", properties.name);
  benchmark::AddCustomContext("compute_capability",
                              std::to_string(properties.major) + "." + std::to_string(properties.minor));
  benchmark::AddCustomContext("multiprocessors", std::to_string(properties.multiProcessorCount));
  benchmark::AddCustomContext("l2_cache_bytes", std::to_string(properties.l2CacheSize));
  benchmark::AddCustomContext("cuda_of_driver", version_text(driver));
  benchmark::AddCustomContext("cuda_of_program", version_text(runtime));
  std::string kernel_module;
  if (std::getline(std::ifstream("/proc/driver/nvidia/version"), kernel_module))
    benchmark::AddCustomContext("driver", kernel_module);
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(copy_bandwidth(large)));
}

int run() {
  rotating_matrices<float> large(8192), small(512);
  rotating_matrices<__nv_bfloat16> large_bf16(8192), small_bf16(512);
  add_context(large);
  add_all("fp32", large, small);
  add_all("bf16", large_bf16, small_bf16);
  benchmark::RunSpecifiedBenchmarks();
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace tsenor_bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    return tsenor_bench::run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_find_mask_gpu: %s\n", e.what());
    return 1;
  }
}
