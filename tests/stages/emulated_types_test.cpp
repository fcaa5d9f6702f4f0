// The GPU's lanes with the type of the weights as a value, judged by the CPU's call for that type; and plain lanes,
// whose sweeps work on what they hold of the weights.
#include "emulated_gpu.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "support/distributions.hpp"
#include "support/small_floats.hpp"
#include "support/solve.hpp"

namespace {

using namespace tsenor_test;
namespace machine = tsenor::detail::emulated;
using machine::work;
using tsenor::pattern;

constexpr std::int64_t rows = 40, cols = 72;

// What a call gave for weights of type T.
template <class T>
struct outcome {
  solution found;
  std::vector<tsenor::price_type<T>> prices;
  std::vector<T> pruned;

  template <class Find>
  outcome(int m, const Find& find)
      : found(m, rows, cols), prices(found.reports.size() * 2 * m), pruned(std::size_t(rows * cols)) {
    tsenor::mask_outputs<T> out;
    out.mask = found.mask.data();
    out.reports = found.reports.data();
    out.prices = prices.data();
    out.pruned = pruned.data();
    find(out);
  }
};

template <class T>
void expect_same(const outcome<T>& gpu, const outcome<T>& cpu, bool masks_only) {
  EXPECT_EQ(gpu.found.mask, cpu.found.mask);
  if (masks_only) return;
  EXPECT_EQ(gpu.prices, cpu.prices);
  for (std::size_t k = 0; k < gpu.pruned.size(); k++) ASSERT_EQ(decoded(gpu.pruned[k]), decoded(cpu.pruned[k])) << k;
  for (std::size_t t = 0; t < gpu.found.reports.size(); t++) {
    EXPECT_EQ(gpu.found.reports[t].value, cpu.found.reports[t].value) << "tile " << t;
    EXPECT_EQ(gpu.found.reports[t].bound, cpu.found.reports[t].bound) << "tile " << t;
  }
}

template <class T, int Width, work For>
void expect_result_of_cpu(pattern nm, const std::vector<T>& weights, const tsenor::options& opts) {
  const outcome<T> cpu(nm.m, [&](const auto& out) {
    EXPECT_TRUE(find_any<T>(tsenor::cpu_executor{2}, nm, {weights.data(), rows, cols}, out, opts).ok());
  });
  const outcome<T> gpu(nm.m, [&](const auto& out) {
    const auto p = tsenor::detail::as_solved<true>(problem_of(nm, weights, rows, cols, opts, out));
    for_each_tile<Width, For>(p, lane_order::ascending,
                              [&](auto& l, std::int64_t tile) { machine::solve_optimal(l, p, tile); });
  });
  expect_same(gpu, cpu, For == work::optimal_plain || For == work::optimal_at_most);
}

template <class T, int Width>
void expect_result_of_cpu(pattern nm) {
  std::vector<T> weights;
  for (const double x : make_weights<double>(distribution::integers, rows, cols, 3)) weights.push_back(encoded<T>(x));
  for (const auto kept : both_constraints) {
    tsenor::options opts = tsenor::options::optimal();
    opts.constraint = kept;
    opts.edge = tsenor::edge::partial;
    expect_result_of_cpu<T, Width, work::optimal>(nm, weights, opts);
    const bool whole = rows % nm.m == 0 && cols % nm.m == 0;
    if (std::is_same_v<T, double> || !whole) continue;  // doubles: general lanes
    if (kept == tsenor::constraint::at_most) {
      if (nm.m == Width) expect_result_of_cpu<T, Width, work::optimal_at_most>(nm, weights, opts);
      continue;
    }
    expect_result_of_cpu<T, Width, work::optimal_exactly>(nm, weights, opts);
    if (nm.m != Width) continue;
    expect_result_of_cpu<T, Width, work::optimal_plain>(nm, weights, opts);
    expect_result_of_cpu<T, Width, work::optimal_plain_outputs>(nm, weights, opts);
  }
}

template <class T>
void expect_results_of_cpu() {
  expect_result_of_cpu<T, 8>({4, 8});
  expect_result_of_cpu<T, 8>({1, 2});
  expect_result_of_cpu<T, 16>({5, 12});
  expect_result_of_cpu<T, 32>({16, 32});
  expect_result_of_cpu<T, 64>({20, 40});
}

TEST(EmulatedGpu, SolvesForDoublesAmongAllTypes) { expect_results_of_cpu<double>(); }
TEST(EmulatedGpu, SolvesForHalvesAmongAllTypes) { expect_results_of_cpu<tsenor::float16>(); }
TEST(EmulatedGpu, SolvesForBytesAmongAllTypes) { expect_results_of_cpu<tsenor::float8_e4m3>(); }

template <class T, int Width, work For>
void expect_plain_mask_of_cpu(const std::vector<T>& weights) {
  tsenor::options opts = tsenor::options::optimal();
  if (For == work::optimal_at_most) opts.constraint = tsenor::constraint::at_most;
  const pattern nm{Width / 2, Width};
  const auto mask_of = [&](const auto& find) {
    std::vector<std::uint8_t> mask(weights.size());
    tsenor::mask_outputs<T> out;
    out.mask = mask.data();
    find(out);
    return mask;
  };
  const int side = int(weights.size()) / Width;
  EXPECT_EQ(mask_of([&](const auto& out) {
              const auto p = problem_of(nm, weights, side, Width, opts, out);
              for_each_tile<Width, For>(p, lane_order::ascending,
                                        [&](auto& l, std::int64_t tile) { machine::solve_optimal(l, p, tile); });
            }),
            mask_of([&](const auto& out) {
              EXPECT_TRUE(find_any<T>(tsenor::cpu_executor{2}, nm, {weights.data(), side, Width}, out, opts).ok());
            }));
}

// Of unlike scales; near the largest number, with more bits than an integer weight; unclean; and with an upper half of
// zeros, where the sample is.
template <class T, int Width, work For>
void expect_plain_masks_of_cpu() {
  std::vector<T> weights = make_weights<T>(distribution::lognormal, 3 * Width, Width, 11);
  expect_plain_mask_of_cpu<T, Width, For>(weights);
  std::vector<T> close = weights;
  for (T& x : close) x = 2 - x * T(0x1p-34);
  expect_plain_mask_of_cpu<T, Width, For>(close);
  weights[1] = std::numeric_limits<T>::quiet_NaN();
  weights[Width * 7 + 3] = -std::numeric_limits<T>::infinity();
  expect_plain_mask_of_cpu<T, Width, For>(weights);
  std::fill_n(weights.begin(), Width * Width / 2 + Width, T(0));
  expect_plain_mask_of_cpu<T, Width, For>(weights);
}

template <class T, work For>
void expect_plain_masks_of_cpu() {
  expect_plain_masks_of_cpu<T, 8, For>();
  expect_plain_masks_of_cpu<T, 16, For>();
  expect_plain_masks_of_cpu<T, 32, For>();
}

TEST(EmulatedGpu, GivesMasksOfTheCpuByHeldColumns) {
  expect_plain_masks_of_cpu<float, work::optimal_plain>();
  expect_plain_masks_of_cpu<double, work::optimal_plain>();
  expect_plain_masks_of_cpu<float, work::optimal_at_most>();
  expect_plain_masks_of_cpu<double, work::optimal_at_most>();
}

}  // namespace
