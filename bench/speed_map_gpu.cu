/// \file
/// The speed map of a GPU: device time of find_mask, by pattern, weights, type and constraint.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gpu_context.cuh"
#include "gpu_data.cuh"
#include "speed_map.hpp"
#include "tsenor/tsenor.cuh"

namespace tsenor_bench {
namespace {

constexpr std::int64_t side = 3840, copies = 4;  // below one another: more than the L2 cache, in any type

// The weights of a type, and the outputs, kept for the cells to come.
template <class Weight>
struct workload {
  std::string held;
  device_array<Weight> weights{side * side * copies}, pruned{side * side * copies};
  device_array<std::uint8_t> mask{side * side * copies};

  void hold(const map_cell& cell) {
    if (held == weights_name(cell)) return;
    const std::vector<Weight> from = weights_of<Weight>(cell, side);
    for (int k = 0; k < copies; ++k)
      require(cudaMemcpy(weights.data() + k * side * side, from.data(), from.size() * sizeof(Weight),
                         cudaMemcpyHostToDevice),
              "cudaMemcpy");
    held = weights_name(cell);
  }
};

template <class Weight>
double seconds_of(const map_cell& cell) {
  static workload<Weight> w;
  w.hold(cell);
  tsenor::mask_outputs<Weight> out;
  if (cell.output == "mask")
    out.mask = w.mask.data();
  else
    out.pruned = w.pruned.data();
  device_timer timer;
  const tsenor::matrix_view<const Weight> view(w.weights.data(), side * copies, side);
  double seconds = -1;
  for (int k = 0; k < 2; ++k) {  // the first warms up
    timer.start();
    const auto done = tsenor::find_mask(cell.nm, view, out, cell.how, tsenor::magnitude{}, timer.stream());
    if (!done.ok()) return -1;
    seconds = timer.stop();
  }
  return seconds;
}

double seconds(const map_cell& cell) {
  return with_type(cell.type, [&](auto weight) { return seconds_of<decltype(weight)>(cell); });
}

}  // namespace
}  // namespace tsenor_bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  tsenor_bench::register_map(tsenor_bench::seconds, tsenor_bench::side * tsenor_bench::side * tsenor_bench::copies);
  tsenor_bench::rotating_matrices<float> large(8192);
  tsenor_bench::add_context(large);
  benchmark::RunSpecifiedBenchmarks();
}
