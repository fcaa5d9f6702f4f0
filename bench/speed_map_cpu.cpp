/// \file
/// The speed map of the CPU: processor time of find_mask on one thread, by pattern, weights, type and constraint.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "speed_map.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_bench {
namespace {

constexpr std::int64_t side = 960;  // 20, 24, 48 and 64 divide it

// The weights of a type, and the outputs, kept for the cells to come.
template <class Weight>
struct workload {
  std::string held;
  std::vector<Weight> weights, pruned = std::vector<Weight>(side * side);
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(side * side);
};

template <class Weight>
double seconds_of(const map_cell& cell) {
  static workload<Weight> w;
  if (w.held != weights_name(cell)) w.weights = weights_of<Weight>(cell, side);
  w.held = weights_name(cell);
  tsenor::mask_outputs<Weight> out;
  if (cell.output == "mask")
    out.mask = w.mask.data();
  else
    out.pruned = w.pruned.data();
  const tsenor::matrix_view<const Weight> view(w.weights.data(), side, side);
  double seconds = -1;
  for (int k = 0; k < 2; k++) {  // the first warms up
    const std::clock_t start = std::clock();
    if (!tsenor::find_mask(tsenor::cpu_executor{1}, cell.nm, view, out, cell.how).ok()) return -1;
    seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
  }
  return seconds;
}

// What a copy of the weights passes, read and written.
double copy_bytes_per_second() {
  const std::vector<float> from(side * side, 1.f);
  std::vector<float> to(from.size());
  double best = 0;
  for (int k = 0; k < 20; k++) {
    const std::clock_t start = std::clock();
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    const double rate = 2. * double(from.size() * sizeof(float)) * CLOCKS_PER_SEC / double(std::clock() - start + 1);
    best = std::max(best, rate);
  }
  return best;
}

// The processor's name, where the system tells it.
std::string processor() {
  std::ifstream about("/proc/cpuinfo");
  for (std::string line; std::getline(about, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "CPU";
}

double seconds(const map_cell& cell) {
  return with_type(cell.type, [&](auto weight) { return seconds_of<decltype(weight)>(cell); });
}

}  // namespace
}  // namespace tsenor_bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  tsenor_bench::register_map(tsenor_bench::seconds, tsenor_bench::side * tsenor_bench::side);
  benchmark::AddCustomContext("device", tsenor_bench::processor() + ", one thread");
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(tsenor_bench::copy_bytes_per_second()));
  benchmark::RunSpecifiedBenchmarks();
}
