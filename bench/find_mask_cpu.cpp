/// \file
/// find_mask on the CPU: one core, all cores, each instruction set, and LEMON's exact solver on the same tiles.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "distributions.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/find_mask.hpp"
#if defined(TSENOR_HAVE_LEMON)
#include "lemon_optimum.hpp"
#endif

namespace tsenor_bench {
namespace {

constexpr std::int64_t side = 1024;  // a square matrix; every M divides it
constexpr int timed_calls = 9;       // each repetition times one call: the median over them is the median call

bool failed = false;  // whether a call or a mask was wrong

/// The matrix that everything here works on, and what find_mask writes to.
struct workload {
  std::vector<float> weights = tsenor_test::make_weights(tsenor_test::distribution::gaussian, side, side, 2505);
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(side * side);
  std::map<int, std::vector<double>> lemon_speeds;  // weights/s of LEMON's repetitions so far, by pattern_key()

  tsenor::matrix_view<const float> input() const { return {weights.data(), side, side}; }
  tsenor::mask_outputs<float> outputs() {
    tsenor::mask_outputs<float> out;
    out.mask = mask.data();
    return out;
  }
};

int pattern_key(tsenor::pattern nm) { return nm.n * 100 + nm.m; }

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void fail(benchmark::State& state, const char* message) {
  failed = true;
  state.SkipWithError(message);
}

/// Weights a second of processor time since `start`, over all iterations; on one thread the speed.
double weights_per_cpu_second(const benchmark::State& state, std::clock_t start) {
  return double(state.iterations()) * double(side * side) * CLOCKS_PER_SEC / double(std::clock() - start);
}

void count_weights(benchmark::State& state) {
  state.counters["weights_per_second"] =
      benchmark::Counter(double(side * side), benchmark::Counter::kIsIterationInvariantRate);
}

/// Times `solve`, which writes `w.mask`; then judges the mask. Returns weights per second of processor time.
template <class Solve>
double measure(benchmark::State& state, workload& w, tsenor::pattern nm, const Solve& solve) {
  std::fill(w.mask.begin(), w.mask.end(), std::uint8_t{0xFF});
  tsenor::status done;
  const std::clock_t start = std::clock();
  for (auto _ : state) done = solve();
  const double speed = weights_per_cpu_second(state, start);
  count_weights(state);

  tsenor::mask_violations v{};
  if (done.ok()) done = tsenor::check_mask(tsenor::cpu_executor{}, nm, {w.mask.data(), side, side}, &v);
  if (!done.ok()) fail(state, done.message());
  if (v.rows != 0 || v.cols != 0) fail(state, "the mask breaks its pattern");
  return speed;
}

/// For a row of one thread, where LEMON has solved the same tiles before.
void compare_with_lemon(benchmark::State& state, const workload& w, tsenor::pattern nm, double speed) {
  const auto lemon = w.lemon_speeds.find(pattern_key(nm));
  if (lemon != w.lemon_speeds.end()) state.counters["ratio_to_lemon"] = speed / median(lemon->second);
}

template <int N, int M>
void find_mask(benchmark::State& state, workload& w, int threads) {
  const double speed = measure(state, w, {N, M}, [&] {
    return tsenor::find_mask<N, M>(tsenor::cpu_executor{threads}, w.input(), w.outputs(), tsenor::options::published());
  });
  if (threads == 1) compare_with_lemon(state, w, {N, M}, speed);
}

/// The solver compiled for one instruction set, whatever find_mask would choose.
template <int N, int M>
void forced(benchmark::State& state, workload& w, tsenor::detail::instruction_set isa) {
  namespace detail = tsenor::detail;
  const double speed = measure(state, w, {N, M}, [&] {
    const tsenor::options opts = tsenor::options::published();
    auto p = detail::make_problem<float>({N, M}, w.input(), w.outputs(), opts, tsenor::magnitude{});
    const tsenor::status made = detail::check_problem(p, opts);
    if (made.ok()) detail::run_tiles<detail::lane_width(M)>(isa, p, 0, p.tiles());
    return made;
  });
  compare_with_lemon(state, w, {N, M}, speed);
}

#if defined(TSENOR_HAVE_LEMON)
/// The importances of all tiles, one tile after the other.
std::vector<float> tiles_of(const workload& w, int m) {
  std::vector<float> tiles;
  tiles.reserve(w.weights.size());
  for (std::int64_t row = 0; row < side; row += m)
    for (std::int64_t col = 0; col < side; col += m)
      for (std::int64_t i = row; i < row + m; ++i)
        for (std::int64_t j = col; j < col + m; ++j) tiles.push_back(std::abs(w.weights[i * side + j]));
  return tiles;
}

/// The network simplex on every tile, one thread; the network is built once and only its costs change.
void lemon(benchmark::State& state, workload& w, tsenor::pattern nm, tsenor::constraint kept) {
  const std::vector<float> tiles = tiles_of(w, nm.m);
  tsenor_test::lemon_optimum solver(nm.m, nm.m, nm.n, kept);
  const std::clock_t start = std::clock();
  for (auto _ : state) {
    double value = 0;
    for (std::size_t first = 0; first < tiles.size(); first += nm.m * nm.m)
      value += solver.solve(&tiles[first], w.mask.data());
    benchmark::DoNotOptimize(value);
  }
  w.lemon_speeds[pattern_key(nm)].push_back(weights_per_cpu_second(state, start));
  count_weights(state);
}
#endif

benchmark::internal::Benchmark* add(const std::string& row, tsenor::pattern nm,
                                    const std::function<void(benchmark::State&)>& body) {
  const std::string name = row + "/" + std::to_string(nm.n) + ":" + std::to_string(nm.m);
  return benchmark::RegisterBenchmark(name.c_str(), body)
      ->Iterations(1)
      ->Repetitions(timed_calls)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kMillisecond);
}

/// All rows of a pattern; LEMON's first, as the others are compared with it.
template <int N, int M>
void add_pattern(workload& w) {
  using isa = tsenor::detail::instruction_set;
  const tsenor::pattern nm{N, M};
#if defined(TSENOR_HAVE_LEMON)
  add("lemon/at_most", nm, [=, &w](benchmark::State& s) { lemon(s, w, nm, tsenor::constraint::at_most); });
  add("lemon/exactly", nm, [=, &w](benchmark::State& s) { lemon(s, w, nm, tsenor::constraint::exactly); });
#endif
  add("published/one_core", nm, [=, &w](benchmark::State& s) { find_mask<N, M>(s, w, 1); });
  add("published/all_cores", nm, [=, &w](benchmark::State& s) { find_mask<N, M>(s, w, 0); })->UseRealTime();
  const std::array<const char*, 3> names = {"baseline", "avx2", "avx512"};
  for (int k = 0; k <= int(tsenor::detail::best_instruction_set()); ++k)
    add(std::string("published/") + names[k], nm, [=, &w](benchmark::State& s) { forced<N, M>(s, w, isa(k)); });
}

}  // namespace

int run() {
  workload w;
  add_pattern<4, 8>(w);
  add_pattern<8, 16>(w);
  add_pattern<16, 32>(w);
  add_pattern<8, 32>(w);
  benchmark::AddCustomContext("matrix", std::to_string(side) + "x" + std::to_string(side) + " float, Gaussian");
  benchmark::AddCustomContext("threads_of_all_cores", std::to_string(std::thread::hardware_concurrency()));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::RunSpecifiedBenchmarks();
  return failed ? 1 : 0;
}

}  // namespace tsenor_bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  return tsenor_bench::run();
}
