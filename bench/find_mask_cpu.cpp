/// \file
/// find_mask on the CPU: one core, all cores, each instruction set, and LEMON's exact solver on the same tiles.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "distributions.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/find_mask.hpp"
#if defined(TSENOR_HAVE_LEMON)
#include "lemon_optimum.hpp"
#endif

namespace tsenor_bench {
namespace {

constexpr std::int64_t side = 2048;  // a square matrix; every M divides it
constexpr int timed_calls = 9;       // each repetition times one call: the median over them is the median call
constexpr int timed_simplexes = 3;   // LEMON takes long enough to need fewer

bool failed = false;  // whether a call or a mask was wrong

/// What is known so far of one pattern.
struct pattern_record {
  std::vector<double> lemon_speeds;                                // weights/s of LEMON's repetitions
  double lemon_optimum = 0;                                        // under exactly N; 0: not known
  std::map<tsenor::method, std::vector<double>> one_core_seconds;  // by the wall clock
};

/// The matrix that everything here works on, and what find_mask writes to.
struct workload {
  std::vector<float> weights = tsenor_test::make_weights(tsenor_test::distribution::gaussian, side, side, 2505);
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(side * side);
  std::map<std::pair<int, int>, pattern_record> records;

  pattern_record& record(tsenor::pattern nm) { return records[{nm.n, nm.m}]; }
  tsenor::matrix_view<const float> input() const { return {weights.data(), side, side}; }
  tsenor::mask_outputs<float> outputs() {
    tsenor::mask_outputs<float> out;
    out.mask = mask.data();
    return out;
  }
  double importance_kept() const {
    double kept = 0;
    for (std::size_t k = 0; k < mask.size(); ++k) kept += mask[k] != 0 ? std::abs(double(weights[k])) : 0.0;
    return kept;
  }
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void fail(benchmark::State& state, const char* message) {
  failed = true;
  state.SkipWithError(message);
}

/// Wall clock and processor time since it was made.
class stopwatch {
 public:
  double wall_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_).count();
  }
  /// Of all threads; on one thread its reciprocal is the speed, whatever else the machine does.
  double cpu_seconds() const { return double(std::clock() - cpu_) / CLOCKS_PER_SEC; }

 private:
  std::chrono::steady_clock::time_point wall_ = std::chrono::steady_clock::now();
  std::clock_t cpu_ = std::clock();
};

void count_weights(benchmark::State& state) {
  state.counters["weights_per_second"] =
      benchmark::Counter(double(side * side), benchmark::Counter::kIsIterationInvariantRate);
}

/// What is wrong with the mask; null if nothing is.
const char* error_in_mask(workload& w, tsenor::pattern nm, const tsenor::options& opts) {
  tsenor::mask_violations v{};
  const tsenor::status checked =
      tsenor::check_mask(tsenor::cpu_executor{}, nm, {w.mask.data(), side, side}, &v, opts.constraint);
  if (!checked.ok()) return checked.message();
  if (v.rows != 0 || v.cols != 0) return "the mask breaks its pattern";
  const bool is_optimum = opts.method == tsenor::method::optimal && opts.constraint == tsenor::constraint::exactly;
  if (is_optimum && w.importance_kept() < (1 - 1e-6) * w.record(nm).lemon_optimum) return "LEMON keeps more";
  return nullptr;
}

/// Times `solve`, which writes `w.mask`; then judges the mask. One thread is compared with LEMON where that has solved
/// the same tiles before, two threads with one.
template <class Solve>
void measure(benchmark::State& state, workload& w, tsenor::pattern nm, const tsenor::options& opts, int threads,
             const Solve& solve) {
  std::fill(w.mask.begin(), w.mask.end(), std::uint8_t{0xFF});
  pattern_record& known = w.record(nm);
  tsenor::status done;
  const stopwatch watch;
  for (auto _ : state) done = solve();
  const double cpu = watch.cpu_seconds(), wall = watch.wall_seconds();
  count_weights(state);
  if (threads == 1 && !known.lemon_speeds.empty())
    state.counters["times_lemon"] = double(side * side) / cpu / median(known.lemon_speeds);
  const auto one_core = known.one_core_seconds.find(opts.method);
  if (threads == 2 && one_core != known.one_core_seconds.end())
    state.counters["times_one_core"] = median(one_core->second) / wall;

  const char* const error = done.ok() ? error_in_mask(w, nm, opts) : done.message();
  if (error != nullptr) fail(state, error);
}

template <int N, int M>
void find_mask(benchmark::State& state, workload& w, const tsenor::options& opts, int threads) {
  measure(state, w, {N, M}, opts, threads, [&] {
    const stopwatch call;
    const auto done = tsenor::find_mask<N, M>(tsenor::cpu_executor{threads}, w.input(), w.outputs(), opts);
    if (threads == 1) w.record({N, M}).one_core_seconds[opts.method].push_back(call.wall_seconds());
    return done;
  });
}

/// The solver compiled for one instruction set, whatever find_mask would choose.
template <int N, int M>
void forced(benchmark::State& state, workload& w, tsenor::detail::instruction_set isa) {
  namespace detail = tsenor::detail;
  const tsenor::options opts = tsenor::options::optimal();
  measure(state, w, {N, M}, opts, 1, [&] {
    auto p = detail::make_problem<float>({N, M}, w.input(), w.outputs(), opts, tsenor::magnitude{});
    const tsenor::status made = detail::check_problem(p, opts);
    if (made.ok()) detail::run_tiles<detail::lane_width(M)>(isa, p, 0, p.grid.tiles);
    return made;
  });
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
  double value = 0;
  const stopwatch watch;
  for (auto _ : state) {
    value = 0;
    for (std::size_t first = 0; first < tiles.size(); first += nm.m * nm.m)
      value += solver.solve(&tiles[first], w.mask.data());
    benchmark::DoNotOptimize(value);
  }
  const double cpu = watch.cpu_seconds();
  count_weights(state);
  if (kept != tsenor::constraint::exactly) return;
  w.record(nm).lemon_speeds.push_back(double(side * side) / cpu);
  w.record(nm).lemon_optimum = value;
}
#endif

benchmark::internal::Benchmark* add(const std::string& row, tsenor::pattern nm,
                                    const std::function<void(benchmark::State&)>& body, int repetitions = timed_calls) {
  const std::string name = row + "/" + std::to_string(nm.n) + ":" + std::to_string(nm.m);
  return benchmark::RegisterBenchmark(name.c_str(), body)
      ->Iterations(1)
      ->Repetitions(repetitions)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kMillisecond);
}

/// One method on one, two and all cores; on one first, as two are compared with it.
template <int N, int M>
void add_method(workload& w, const std::string& method, const tsenor::options& opts) {
  const tsenor::pattern nm{N, M};
  add(method + "/one_core", nm, [=, &w](benchmark::State& s) { find_mask<N, M>(s, w, opts, 1); });
  add(method + "/two_cores", nm, [=, &w](benchmark::State& s) { find_mask<N, M>(s, w, opts, 2); })->UseRealTime();
  add(method + "/all_cores", nm, [=, &w](benchmark::State& s) { find_mask<N, M>(s, w, opts, 0); })->UseRealTime();
}

/// All rows of a pattern; LEMON's first, as the others are compared with it.
template <int N, int M>
void add_pattern(workload& w) {
  using isa = tsenor::detail::instruction_set;
  const tsenor::pattern nm{N, M};
#if defined(TSENOR_HAVE_LEMON)
  for (const auto kept : {tsenor::constraint::exactly, tsenor::constraint::at_most})
    add(
        kept == tsenor::constraint::exactly ? "lemon/exactly" : "lemon/at_most", nm,
        [=, &w](benchmark::State& s) { lemon(s, w, nm, kept); }, timed_simplexes);
#else
  add(
      "lemon/exactly", nm, [](benchmark::State& s) { s.SkipWithError("skipped: built without LEMON"); }, 1);
#endif
  add_method<N, M>(w, "optimal", tsenor::options::optimal());
  const std::array<const char*, 3> names = {"baseline", "avx2", "avx512"};
  for (int k = 0; k <= int(tsenor::detail::best_instruction_set()); ++k)
    add(std::string("optimal/") + names[k], nm, [=, &w](benchmark::State& s) { forced<N, M>(s, w, isa(k)); });
  add_method<N, M>(w, "published", tsenor::options::published());
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
