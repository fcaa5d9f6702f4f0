/// \file
/// Times one call on the GPU and judges what it wrote.
#pragma once

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>

#include "gpu_data.cuh"
#include "gpu_weights.cuh"
#include "tsenor/check_mask.cuh"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"

namespace tsenor_bench {

/// Every repetition times one call, so that the median over repetitions is the median call.
inline constexpr int timed_calls = 31;

/// Whether a call or a mask was wrong.
inline bool failed = false;

inline void fail(benchmark::State& state, const char* message) {
  failed = true;
  state.SkipWithError(message);
}

/// What the timed call writes the mask to.
enum class output { mask, pruned };

/// A row of the table.
template <class Weight>
struct measurement {
  std::string method;
  tsenor::pattern nm;
  tsenor::constraint kept;
  std::string type;
  weight_source<Weight> source;
  output form = output::mask;
  /// The call to time, on the current set.
  std::function<tsenor::status(const rotating_matrices<Weight>&, cudaStream_t)> call;
  /// Done before each repetition, where given; not timed.
  std::function<void(const rotating_matrices<Weight>&, cudaStream_t)> before = {};
  std::int64_t price_bytes = 0;  // that the call moves, for each tile

  std::string name(std::int64_t side) const {
    return method + "/" + std::to_string(nm.n) + ":" + std::to_string(nm.m) +
           (kept == tsenor::constraint::exactly ? "/exactly/" : "/at_most/") + type + "/" + source.name +
           (form == output::mask ? "/mask/" : "/pruned/") + std::to_string(side) + "x" + std::to_string(side);
  }
  std::int64_t bytes(std::int64_t elements) const {
    const std::int64_t written = form == output::mask ? 1 : sizeof(Weight);
    return elements * (std::int64_t(sizeof(Weight)) + written) + elements / nm.m / nm.m * price_bytes;
  }
};

// The byte mask of pruned weights. A weight of 0 that was kept does not show.
template <class Weight>
__global__ void find_nonzero(const Weight* pruned, std::uint8_t* mask, std::int64_t count) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    mask[k] = float(pruned[k]) != 0;
}

template <class Weight>
__global__ void sum_kept(const Weight* weights, const std::uint8_t* mask, std::int64_t count, double* sum) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  double mine = 0;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    mine += mask[k] != 0 ? double(fabsf(float(weights[k]))) : 0.0;
  atomicAdd(sum, mine);
}

/// What a mask was found to be.
struct verdict {
  const char* error = nullptr;  // what is wrong; null if nothing is
  double kept = 0;              // importance
};

template <class Weight>
verdict judge_current(const measurement<Weight>& row, const rotating_matrices<Weight>& data, cudaStream_t stream) {
  const device_array<tsenor::mask_violations> found(1);
  const device_array<double> sum(1);
  auto kept = row.kept;
  if (row.form == output::pruned) {
    find_nonzero<<<2048, 256, 0, stream>>>(data.pruned(), data.mask(), data.elements());
    kept = tsenor::constraint::at_most;
  }
  const tsenor::matrix_view<const std::uint8_t> mask(data.mask(), data.side(), data.side());
  const tsenor::status checked = tsenor::check_mask(row.nm, mask, found.data(), kept, tsenor::edge::reject, stream);
  if (!checked.ok()) return {checked.message()};
  require(cudaMemsetAsync(sum.data(), 0, sum.bytes(), stream), "cudaMemsetAsync");
  sum_kept<<<512, 256, 0, stream>>>(data.weights(), data.mask(), data.elements(), sum.data());
  require(cudaGetLastError(), "sum_kept");

  tsenor::mask_violations v{};
  verdict result;
  require(cudaMemcpyAsync(&v, found.data(), sizeof v, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  require(cudaMemcpyAsync(&result.kept, sum.data(), sizeof result.kept, cudaMemcpyDeviceToHost, stream),
          "cudaMemcpyAsync");
  require(cudaStreamSynchronize(stream), "the call or its judge");
  if (v.rows != 0 || v.cols != 0) result.error = "the mask breaks its pattern";
  return result;
}

template <class Weight>
void measure(benchmark::State& state, const measurement<Weight>& row, rotating_matrices<Weight>& data) {
  row.source.bring_into(data);
  device_timer timer;
  verdict found;
  for (auto _ : state) {
    data.poison_outputs(timer.stream());
    if (row.before) row.before(data, timer.stream());
    tsenor::status done;
    for (int k = 0; k < warm_up_calls && done.ok(); ++k, data.next()) done = row.call(data, timer.stream());
    timer.start();
    if (done.ok()) done = row.call(data, timer.stream());
    state.SetIterationTime(timer.stop());
    found = done.ok() ? judge_current(row, data, timer.stream()) : verdict{done.message()};
    data.next();
    if (found.error != nullptr) return fail(state, found.error);
  }
  const double weights = double(data.elements());
  state.counters["weights_per_second"] = benchmark::Counter(weights, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["importance_kept"] = found.kept;
  state.SetBytesProcessed(state.iterations() * row.bytes(data.elements()));
}

/// Registers a benchmark whose repetitions are single calls.
inline void add_row(const std::string& name, const std::function<void(benchmark::State&)>& body) {
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(timed_calls)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kMillisecond);
}

template <class Weight>
void add(const measurement<Weight>& row, rotating_matrices<Weight>& data) {
  add_row(row.name(data.side()), [row, &data](benchmark::State& state) { measure(state, row, data); });
}

}  // namespace tsenor_bench
