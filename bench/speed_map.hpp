/// \file
/// The cells of the speed map, common to CPU and GPU: weights, patterns, constraints, and how a row is named.
#pragma once

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "small_floats.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor_bench {

/// Bits that look random, of a number.
inline std::uint64_t hashed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// A number of the standard normal distribution, of a number.
inline float normal(std::uint64_t k) {
  const std::uint64_t h = hashed(k);
  const float u = (float(h >> 40) + 0.5f) / float(1 << 24), v = float(h & 0xffffffu) / float(1 << 24);
  return std::sqrt(-2 * std::log(u)) * std::cos(6.2831853f * v);
}

/// Where a weight stands, and what is drawn for it, its row and its column.
struct place {
  std::int64_t row, col, side;
  std::uint64_t number() const { return std::uint64_t(row * side + col); }
  float gaussian(std::uint64_t stream = 0) const { return normal(number() + (stream << 40)); }
  float row_scale() const { return std::exp(normal(std::uint64_t(row) + (std::uint64_t(8) << 40))); }
  float col_scale() const { return std::exp(normal(std::uint64_t(col) + (std::uint64_t(9) << 40))); }
  std::uint64_t bits() const { return hashed(number() + (std::uint64_t(10) << 40)); }
};

struct weights_kind {
  const char* name;
  float (*at)(const place&);
};

inline float student3(const place& p) {
  float sum = 0;
  for (std::uint64_t k = 1; k <= 3; ++k) sum += p.gaussian(k) * p.gaussian(k);
  return p.gaussian() / std::sqrt(sum / 3);
}

inline const weights_kind all_weights[] = {
    {"gaussian", [](const place& p) { return p.gaussian(); }},
    {"student3", student3},
    {"outlier_columns", [](const place& p) { return p.gaussian() * (p.col % 64 == 5 ? 30.f : 1.f); }},
    {"scaled_columns", [](const place& p) { return p.gaussian() * p.col_scale(); }},
    {"scaled", [](const place& p) { return p.gaussian() * p.row_scale() * p.col_scale(); }},
    {"lognormal", [](const place& p) { return std::exp(2 * p.gaussian()); }},
    {"outer_product", [](const place& p) { return p.row_scale() * p.col_scale(); }},
    {"ramp", [](const place& p) { return float(p.number() % 1009); }},
    {"integers", [](const place& p) { return float(p.bits() % 4); }},
    {"mostly_zero", [](const place& p) { return p.bits() % 8 == 0 ? p.gaussian() : 0.f; }},
    {"additive", [](const place& p) { return p.row_scale() + p.col_scale(); }},
};

/// One call that is timed. `rounded_to` is a type whose values float weights have, or empty.
struct map_cell {
  tsenor::pattern nm;
  tsenor::options how;
  std::string type, rounded_to, output;
  const weights_kind* weights;

  /// METHOD/N:M/CONSTRAINT/TYPE/WEIGHTS/OUTPUT
  std::string name() const {
    const bool published = how.method == tsenor::method::published;
    const bool exactly = how.constraint == tsenor::constraint::exactly;
    return std::string(published ? "published/" : "optimal/") + std::to_string(nm.n) + ":" + std::to_string(nm.m) +
           (exactly ? "/exactly/" : "/at_most/") + type + "/" + weights->name +
           (rounded_to.empty() ? "" : "_" + rounded_to) + "/" + output;
  }
};

/// Calls f with a value of the type of that name; float32 if there is none.
template <class F>
auto with_type(const std::string& name, const F& f) {
  if (name == "float16") return f(tsenor::float16{});
  if (name == "bfloat16") return f(tsenor::bfloat16{});
  if (name == "float8_e4m3") return f(tsenor::float8_e4m3{});
  if (name == "float8_e5m2") return f(tsenor::float8_e5m2{});
  return f(float{});
}

/// The weights of a cell, `[side, side]`.
template <class Weight>
std::vector<Weight> weights_of(const map_cell& cell, std::int64_t side) {
  std::vector<Weight> weights;
  weights.reserve(std::size_t(side * side));
  with_type(cell.rounded_to, [&](auto rounded) {
    for (std::int64_t row = 0; row < side; ++row)
      for (std::int64_t col = 0; col < side; ++col) {
        const float x = cell.weights->at({row, col, side});
        const double value = tsenor_test::decoded(tsenor_test::encoded<decltype(rounded)>(x));
        weights.push_back(tsenor_test::encoded<Weight>(value));
      }
  });
  return weights;
}

/// What the weights of a cell depend on.
inline std::string weights_name(const map_cell& cell) { return cell.weights->name + ("/" + cell.rounded_to); }

inline tsenor::options options_of(tsenor::constraint kept) {
  tsenor::options how = tsenor::options::optimal();
  how.constraint = kept;
  how.edge = tsenor::edge::partial;
  return how;
}

/// All cells, those of one kind of weights together.
inline std::vector<map_cell> map_cells() {
  using tsenor::constraint;
  using tsenor::pattern;
  const pattern squares[] = {{2, 4}, {4, 8}, {8, 16}, {16, 32}, {32, 64}};
  const pattern others[] = {{1, 4},   {3, 4},   {3, 6},   {1, 8},   {2, 8},   {6, 8},  {5, 10},
                            {6, 12},  {4, 16},  {12, 16}, {10, 20}, {12, 24}, {1, 32}, {8, 32},
                            {24, 32}, {31, 32}, {20, 40}, {24, 48}, {16, 64}, {48, 64}};
  const char* const types[] = {"float16", "bfloat16", "float8_e4m3", "float8_e5m2"};
  const weights_kind* const gaussian = &all_weights[0];
  std::vector<map_cell> cells;
  for (const weights_kind& kind : all_weights)
    for (const pattern nm : squares)
      for (const auto kept : {constraint::exactly, constraint::at_most})
        cells.push_back({nm, options_of(kept), "float32", "", "mask", &kind});
  for (const pattern nm : others)
    for (const auto kept : {constraint::exactly, constraint::at_most})
      cells.push_back({nm, options_of(kept), "float32", "", "mask", gaussian});
  for (const pattern nm : squares)
    for (const char* type : types) {
      cells.push_back({nm, options_of(constraint::exactly), type, type, "mask", gaussian});
      cells.push_back({nm, options_of(constraint::exactly), "float32", type, "mask", gaussian});
    }
  cells.push_back({{16, 32}, options_of(constraint::exactly), "float32", "", "pruned", gaussian});
  for (const pattern nm : {pattern{2, 4}, {1, 4}, {3, 4}, {4, 8}, {8, 16}, {16, 32}, {32, 64}})
    cells.push_back({nm, tsenor::options::published(), "float32", "", "mask", gaussian});
  return cells;
}

/// Registers all cells, of so many weights; `seconds(cell)` makes the call once and tells its time, less than 0 where
/// it failed.
inline void register_map(const std::function<double(const map_cell&)>& seconds, std::int64_t weights) {
  for (const map_cell& cell : map_cells())
    benchmark::RegisterBenchmark(cell.name().c_str(),
                                 [cell, seconds, weights](benchmark::State& state) {
                                   for (auto _ : state) {
                                     const double time = seconds(cell);
                                     if (time < 0) return state.SkipWithError("find_mask failed");
                                     state.SetIterationTime(time);
                                   }
                                   state.counters["weights_per_second"] = benchmark::Counter(
                                       double(weights), benchmark::Counter::kIsIterationInvariantRate);
                                 })
        ->UseManualTime()
        ->Iterations(1)
        ->Repetitions(3)
        ->ReportAggregatesOnly()
        ->Unit(benchmark::kMillisecond);
}

}  // namespace tsenor_bench
