/// \file
/// find_mask on the GPU: device time of one call, weights and outputs resident; beside it the vendor's tile prune.
#include <benchmark/benchmark.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "gpu_context.cuh"
#include "gpu_data.cuh"
#include "gpu_measure.cuh"
#include "gpu_weights.cuh"
#include "tsenor/find_mask.cuh"
#if defined(TSENOR_HAVE_CUSPARSELT)
#include "vendor_prune.hpp"
#endif

namespace tsenor_bench {
namespace {

using tsenor::constraint;
using tsenor::options;
using tsenor::pattern;
using tsenor_test::random_weights;

constexpr std::int64_t large_side = 8192, small_side = 512;

template <class Weight>
using matrices = rotating_matrices<Weight>;

template <class Weight>
tsenor::matrix_view<const Weight> view(const matrices<Weight>& data) {
  return {data.weights(), data.side(), data.side()};
}

template <class Weight>
tsenor::mask_outputs<Weight> outputs(const matrices<Weight>& data, output form) {
  tsenor::mask_outputs<Weight> out;
  if (form == output::mask) out.mask = data.mask();
  if (form == output::pruned) out.pruned = data.pruned();
  return out;
}

/// Float weights to a byte mask.
measurement<float> float_row(const char* method, pattern nm, const options& opts,
                             const weight_source<float>& source = random_source<float>(random_weights::gaussian)) {
  return {method,
          nm,
          opts.constraint,
          "fp32",
          source,
          output::mask,
          [nm, opts](const matrices<float>& data, cudaStream_t stream) {
            return tsenor::find_mask(nm, view(data), outputs(data, output::mask), opts, tsenor::magnitude{}, stream);
          }};
}

/// Gaussian 16-bit weights by the optimal method; the pattern is a template argument so that one kernel is compiled.
template <int N, int M, class Weight>
measurement<Weight> narrow_row(const char* type, output form) {
  return {"optimal",
          {N, M},
          constraint::exactly,
          type,
          random_source<Weight>(random_weights::gaussian),
          form,
          [form](const matrices<Weight>& data, cudaStream_t stream) {
            return tsenor::find_mask<N, M>(view(data), outputs(data, form), options::optimal(), tsenor::magnitude{},
                                           stream);
          }};
}

void add_optimal(matrices<float>& large, matrices<float>& small) {
  const options optimal = options::optimal();
  for (const pattern nm : {pattern{4, 8}, {8, 16}, {16, 32}, {8, 32}, {32, 64}})
    add(float_row("optimal", nm, optimal), large);
  options at_most = optimal;
  at_most.constraint = constraint::at_most;
  add(float_row("optimal", {16, 32}, at_most), large);
  for (const pattern nm : {pattern{4, 8}, {8, 16}, {16, 32}}) add(float_row("optimal", nm, optimal), small);
  for (const random_weights kind : {random_weights::student3, random_weights::integers, random_weights::mostly_zero})
    add(float_row("optimal", {16, 32}, optimal, random_source<float>(kind)), large);
  add(float_row("optimal", {16, 32}, optimal, real_source<float>()), large);
}

void add_published(matrices<float>& large) {
  for (const pattern nm : {pattern{8, 16}, {16, 32}}) add(float_row("published", nm, options::published()), large);
}

tsenor::status solve_with_prices(pattern nm, const options& opts, const matrices<float>& data, cudaStream_t stream) {
  auto out = outputs(data, output::mask);
  out.prices = data.prices();
  return tsenor::find_mask(nm, view(data), out, opts, tsenor::magnitude{}, stream);
}

/// Gaussian weights after a relative change of 1e-3. `earlier` gets the prices of the weights before it, set by set.
weight_source<float> changed_source(pattern nm, const device_array<float>& earlier) {
  return {"changed_gaussian", [nm, &earlier](matrices<float>& data) {
            random_source<float>(random_weights::gaussian).fill(data);
            for (std::int64_t k = 0; k < data.sets(); ++k, data.next()) {
              const tsenor::status done = solve_with_prices(nm, options::optimal(), data, nullptr);
              if (!done.ok()) throw std::runtime_error(done.message());
            }
            require(cudaMemcpy(earlier.data(), data.all_prices().data(), earlier.bytes(), cudaMemcpyDeviceToDevice),
                    "cudaMemcpy");
            const auto& all = data.all_weights();
            change_weights<<<2048, 256>>>(all.data(), all.size(), 1e-3f, 2506);
            require(cudaGetLastError(), "change_weights");
          }};
}

/// The changed weights from nothing and from the earlier prices; both write prices.
void add_refresh(pattern nm, matrices<float>& large, const device_array<float>& earlier) {
  options opts = options::optimal();
  measurement<float> row = float_row("optimal_to_prices", nm, opts, changed_source(nm, earlier));
  const auto call_with = [nm](const options& o) {
    return [nm, o](const matrices<float>& data, cudaStream_t stream) { return solve_with_prices(nm, o, data, stream); };
  };
  row.call = call_with(opts);
  row.price_bytes = 2 * nm.m * std::int64_t(sizeof(float));
  add(row, large);

  opts.start = tsenor::start::warm;
  row.method = "optimal_from_prices";
  row.call = call_with(opts);
  row.price_bytes *= 2;
  row.before = [&earlier](const matrices<float>& data, cudaStream_t stream) {
    require(
        cudaMemcpyAsync(data.all_prices().data(), earlier.data(), earlier.bytes(), cudaMemcpyDeviceToDevice, stream),
        "cudaMemcpyAsync");
  };
  add(row, large);
}

/// What cuSPARSELt does, a row without its call.
measurement<__half> vendor_row() {
  auto row = narrow_row<2, 4, __half>("fp16", output::pruned);
  row.method = "cusparselt_tile";
  return row;
}

#if defined(TSENOR_HAVE_CUSPARSELT)
void add_vendor(matrices<__half>& large, const vendor_tile_prune& prune) {
  auto row = vendor_row();
  row.call = [&prune](const matrices<__half>& data, cudaStream_t stream) {
    const cusparseStatus_t done = prune(data.weights(), data.pruned(), stream);
    return done == CUSPARSE_STATUS_SUCCESS
               ? tsenor::status{}
               : tsenor::status{tsenor::status_code::device_error, "cuSPARSELt does not prune here", done};
  };
  add(row, large);
}
#else
void skip_vendor() {
  benchmark::RegisterBenchmark(vendor_row().name(large_side).c_str(), [](benchmark::State& state) {
    state.SkipWithError("skipped: built without cuSPARSELt, see README.md");
  });
}
#endif

int run() {
  matrices<float> large(large_side), small(small_side);
  matrices<__half> large_fp16(large_side);
  matrices<__nv_bfloat16> large_bf16(large_side);
  const device_array<float> earlier_prices(large.all_prices().size());
  random_source<float>(random_weights::gaussian).bring_into(large);
  add_context(large);
  add(narrow_row<2, 4, __half>("fp16", output::pruned), large_fp16);
#if defined(TSENOR_HAVE_CUSPARSELT)
  const vendor_tile_prune vendor(large_side);
  add_vendor(large_fp16, vendor);
#else
  skip_vendor();
#endif
  add(narrow_row<2, 4, __half>("fp16", output::mask), large_fp16);
  add_optimal(large, small);
  add(narrow_row<16, 32, __nv_bfloat16>("bf16", output::mask), large_bf16);
  add(float_row("optimal", {16, 32}, options::optimal(), rounded_source<__nv_bfloat16>("bf16")), large);
  add_refresh({16, 32}, large, earlier_prices);
  add_published(large);
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
