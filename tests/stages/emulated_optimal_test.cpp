// The optimal method on the GPU's lanes, of every kind, judged by the CPU's result: integers leave no room for
// rounding, so masks and prices must be the same, bit for bit.
#include "emulated_gpu.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/checker.hpp"
#include "support/distributions.hpp"
#include "support/solve.hpp"

namespace {

using namespace tsenor_test;
namespace machine = tsenor::detail::emulated;
using machine::work;
using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 7;

struct priced_solution {
  solution found;
  std::vector<float> prices;
};

// A matrix and what is asked of it.
struct optimal_call {
  pattern nm;
  std::int64_t rows, cols;
  tsenor::options opts;
  std::vector<float> weights;
  std::vector<float> start;  // prices to start from; empty: a cold start

  // Calls find(outputs), whose prices hold those to start from.
  template <class Find>
  priced_solution solve_by(const Find& find) const {
    const std::int64_t tiles = tiles_along(rows, nm.m) * tiles_along(cols, nm.m);
    std::vector<float> prices = start.empty() ? std::vector<float>(tiles * 2 * nm.m, -77.f) : start;
    const solution found = solve_with<float>(nm.m, rows, cols, [&](tsenor::mask_outputs<float> out) {
      out.prices = prices.data();
      return find(out);
    });
    return {found, prices};
  }
  priced_solution on_cpu() const {
    return solve_by([&](const auto& out) {
      return find_any<float>(tsenor::cpu_executor{2}, nm, {weights.data(), rows, cols}, out, opts);
    });
  }
  template <int Width, work For>
  priced_solution on_emulated_gpu(lane_order order) const {
    return solve_by([&](const auto& out) {
      const auto p = problem_of(nm, weights, rows, cols, opts, out);
      for_each_tile<Width, For>(p, order, [&](auto& l, std::int64_t tile) { machine::solve_optimal(l, p, tile); });
      return tsenor::status{};
    });
  }
};

optimal_call call_of(pattern nm, std::int64_t rows, std::int64_t cols, constraint kept, std::vector<float> weights) {
  tsenor::options opts = tsenor::options::optimal();
  opts.constraint = kept;
  opts.edge = tsenor::edge::partial;
  return {nm, rows, cols, opts, std::move(weights), {}};
}

void expect_same(const priced_solution& gpu, const priced_solution& cpu) {
  EXPECT_EQ(gpu.found.mask, cpu.found.mask);
  EXPECT_EQ(gpu.prices, cpu.prices);
  for (std::size_t t = 0; t < gpu.found.reports.size(); t++) {
    const tsenor::tile_report &g = gpu.found.reports[t], &c = cpu.found.reports[t];
    EXPECT_NEAR(g.value, c.value, 1e-12 * c.value) << "tile " << t;
    EXPECT_NEAR(g.bound, c.bound, 1e-12 * c.bound) << "tile " << t;
    EXPECT_EQ(g.iterations, c.iterations) << "tile " << t;
    EXPECT_EQ(g.moves, c.moves) << "tile " << t;
    EXPECT_EQ(g.replaced, c.replaced) << "tile " << t;
    EXPECT_EQ(g.flags, c.flags) << "tile " << t;
  }
}

// Lanes for masks alone have no code for prices to start from.
template <int Width, work For>
void expect_masks_of_cpu(const optimal_call& call, lane_order order, const priced_solution& cpu) {
  if (!call.start.empty()) return;
  const priced_solution gpu = call.on_emulated_gpu<Width, For>(order);
  EXPECT_EQ(gpu.found.mask, cpu.found.mask);
}

// On every kind of lanes that may solve this call.
template <int Width>
void expect_result_of_cpu(const optimal_call& call) {
  SCOPED_TRACE(testing::Message() << call.nm.n << ":" << call.nm.m << " of " << call.rows << " x " << call.cols
                                  << (call.opts.constraint == constraint::exactly ? " exactly" : " at most"));
  const priced_solution cpu = call.on_cpu();
  const bool whole = call.rows % call.nm.m == 0 && call.cols % call.nm.m == 0;
  const bool exactly = call.opts.constraint == constraint::exactly;
  for (const lane_order order : both_orders) {
    SCOPED_TRACE(order == lane_order::ascending ? "lanes ascending" : "lanes descending");
    expect_same(call.on_emulated_gpu<Width, work::optimal>(order), cpu);
    if (!whole) continue;
    if (!exactly) {
      SCOPED_TRACE("plain lanes for at most N");
      if (call.nm.m == Width) expect_masks_of_cpu<Width, work::optimal_at_most>(call, order, cpu);
      continue;
    }
    SCOPED_TRACE("lanes for exactly N");
    expect_same(call.on_emulated_gpu<Width, work::optimal_exactly>(order), cpu);
    if (call.nm.m != Width) continue;
    SCOPED_TRACE("plain lanes");
    expect_same(call.on_emulated_gpu<Width, work::optimal_plain_outputs>(order), cpu);
    SCOPED_TRACE("masks alone");
    expect_masks_of_cpu<Width, work::optimal_plain>(call, order, cpu);
  }
}

// A pattern of M = lane width and a smaller one, each with whole tiles, whose number is no multiple of the tiles of a
// warp, and with partial ones.
template <int Width>
void expect_results_of_cpu(pattern full, pattern smaller, distribution d) {
  SCOPED_TRACE(testing::Message() << name_of(d) << " seed " << seed);
  for (const auto kept : both_constraints)
    for (const pattern nm : {full, smaller}) {
      const int m = nm.m, down = Width > 32 ? 1 : 3;
      for (const auto& [rows, cols] : {std::pair{down * m, m}, {m + m / 2, 2 * m - 1}})
        expect_result_of_cpu<Width>(call_of(nm, rows, cols, kept, make_weights(d, rows, cols, seed)));
    }
}

class EmulatedOptimal : public testing::TestWithParam<distribution> {};

INSTANTIATE_TEST_SUITE_P(Of, EmulatedOptimal, testing::ValuesIn(all_distributions),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(EmulatedOptimal, GivesMasksAndPricesOfTheCpuAtWidth8) {
  expect_results_of_cpu<8>({4, 8}, {2, 5}, GetParam());
  expect_results_of_cpu<8>({8, 8}, {3, 3}, GetParam());
  expect_results_of_cpu<8>({7, 8}, {1, 2}, GetParam());
}

TEST_P(EmulatedOptimal, GivesMasksAndPricesOfTheCpuAtWidth16) {
  expect_results_of_cpu<16>({8, 16}, {5, 10}, GetParam());
  expect_results_of_cpu<16>({3, 16}, {8, 9}, GetParam());
}

TEST_P(EmulatedOptimal, GivesMasksAndPricesOfTheCpuAtWidth32) {
  expect_results_of_cpu<32>({16, 32}, {7, 20}, GetParam());
  expect_results_of_cpu<32>({31, 32}, {16, 17}, GetParam());
}

TEST_P(EmulatedOptimal, GivesMasksAndPricesOfTheCpuAtWidth64) {
  expect_results_of_cpu<64>({32, 64}, {9, 36}, GetParam());
}

// `f` with a pattern of each lane width, a half and a quarter of the entries kept.
template <class F>
void for_each_width(const F& f) {
  f(std::integral_constant<int, 8>{}, pattern{4, 8});
  f(std::integral_constant<int, 8>{}, pattern{2, 7});
  f(std::integral_constant<int, 16>{}, pattern{8, 16});
  f(std::integral_constant<int, 32>{}, pattern{16, 32});
  f(std::integral_constant<int, 32>{}, pattern{5, 20});
  f(std::integral_constant<int, 64>{}, pattern{16, 64});
}

TEST(EmulatedGpu, ReplacesOddNumbersAsTheCpuDoes) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float odd[] = {std::numeric_limits<float>::quiet_NaN(), -infinity, infinity, -0.f};
  for_each_width([&](auto width, pattern nm) {
    const int rows = nm.m + 3, cols = 2 * nm.m;
    for (const auto kept : both_constraints)
      for (int kinds = 1; kinds <= 4; kinds++) {
        std::vector<float> weights = make_weights(distribution::gaussian, rows, cols, seed);
        for (int k = 0; k < kinds; k++) weights[5 + k * 7] = odd[k];  // most of them in the first tile
        expect_result_of_cpu<width>(call_of(nm, rows, cols, kept, weights));
      }
  });
}

// Lanes outside read the last row and column again, where some numbers are odd.
TEST(EmulatedGpu, GivesMasksAndPricesOfTheCpuForEveryNOfAnMBetweenWidths) {
  const auto call = [](pattern nm, distribution d) {
    const int m = nm.m;
    std::vector<float> weights = make_weights(d, 2 * m, m, seed);
    weights[m - 1] = std::numeric_limits<float>::infinity();
    weights[m * m - 1] = std::numeric_limits<float>::quiet_NaN();
    weights[m * m - 2] = -std::numeric_limits<float>::infinity();
    return call_of(nm, 2 * m, m, constraint::exactly, std::move(weights));
  };
  for (const auto d : {distribution::gaussian, distribution::ties})
    for (int n = 1; n <= 12; n++) {
      if (n <= 6) expect_result_of_cpu<8>(call({n, 6}, d));
      expect_result_of_cpu<16>(call({n, 12}, d));
      expect_result_of_cpu<32>(call({2 * n, 24}, d));
    }
}

TEST(EmulatedGpu, SolvesTilesOfNothingButZerosOrNaNsAsTheCpuDoes) {
  for_each_width([&](auto width, pattern nm) {
    for (const auto kept : both_constraints)
      for (const float x : {0.f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        expect_result_of_cpu<width>(call_of(nm, nm.m, nm.m, kept, std::vector<float>(nm.m * nm.m, x)));
  });
}

// Prices of nearly the same weights, of others, odd ones, and ones that are no numbers in some tiles.
std::vector<std::vector<float>> prices_to_start_from(const optimal_call& call) {
  const std::vector<float> own = call.on_cpu().prices;
  std::vector<float> reversed(own.rbegin(), own.rend()), odd = own, huge = own;
  odd[1] = std::numeric_limits<float>::quiet_NaN();
  odd[odd.size() - 2] = std::numeric_limits<float>::infinity();
  for (float& x : huge) x = x < 0 ? -3e38f : 3e38f;
  return {own, reversed, odd, huge};
}

// The first start alone, which is near, at 64: each step from the others takes an emulated warp long.
TEST(EmulatedGpu, StartsWarmAsTheCpuDoes) {
  for_each_width([&](auto width, pattern nm) {
    for (const auto kept : both_constraints)
      for (const int cols : {nm.m, nm.m + nm.m / 2}) {
        optimal_call call = call_of(nm, nm.m, cols, kept, make_weights(distribution::gaussian, nm.m, cols, seed));
        const auto starts = prices_to_start_from(call);
        call.opts.start = tsenor::start::warm;
        for (std::size_t k = 0; k < call.weights.size(); k++) call.weights[k] *= 1.f + 1e-3f * float(int(k % 3) - 1);
        for (std::size_t k = 0; k < (nm.m < 64 ? starts.size() : 1); k++) {
          SCOPED_TRACE(testing::Message() << "seed " << seed << ", start " << k);
          call.start = starts[k];
          expect_result_of_cpu<width>(call);
        }
      }
  });
}

// ---- 4x4 tiles in lanes of their own ----

// As the kernel for rows on boundaries of four does, and as the one for all others.
template <bool InFours>
priced_solution solve_4x4_on_emulated_gpu(const optimal_call& call) {
  return call.solve_by([&](const auto& out) {
    const auto p = problem_of(call.nm, call.weights, call.rows, call.cols, call.opts, out);
    EXPECT_TRUE(p.takes_tile4_solver());
    for (std::int64_t tile = 0; tile < p.grid.tiles; tile++)
      machine::solve_tiles4<InFours, true, machine::tile_lanes>(p, tile, p.grid.tiles,
                                                                call.opts.constraint == constraint::at_most);
    return tsenor::status{};
  });
}

TEST_P(EmulatedOptimal, GivesMasksAndPricesOfTheCpuFor4x4TilesALane) {
  for (const auto& [rows, cols] : {std::pair{12, 52}, {11, 50}})
    for (const auto kept : both_constraints)
      for (int n = 1; n <= 4; n++) {
        SCOPED_TRACE(testing::Message() << n << ":4 of " << rows << " x " << cols << " seed " << seed);
        const optimal_call call = call_of({n, 4}, rows, cols, kept, make_weights(GetParam(), rows, cols, seed));
        const priced_solution cpu = call.on_cpu();
        expect_same(solve_4x4_on_emulated_gpu<false>(call), cpu);
        if (rows % 4 == 0) expect_same(solve_4x4_on_emulated_gpu<true>(call), cpu);
      }
}

// ---- selection at the lower resolution ----

// Count / 2 pairs of numbers k and k + Count / 2, for every rank.
template <int Count>
void expect_selection_of_pairs() {
  for (const auto& numbers : cases_of_selection<std::int16_t>(Count, seed))
    for (int n = 1; n <= Count; n++) {
      machine::pair16 t[Count / 2];
      for (int k = 0; k < Count / 2; k++) t[k] = machine::pair_of(numbers[k], numbers[k + Count / 2]);
      machine::upper_half x, y, zero(0);
      machine::around_rank<Count / 2>(t, n, x, y);
      const auto expected = around_rank_of(numbers, n);
      EXPECT_EQ(descending<std::int16_t>({std::int16_t(sum(x, zero, 0)), std::int16_t(sum(y, zero, 0))}), expected)
          << n << " of " << Count;
      EXPECT_EQ(sum(x, y, 1), expected[0] + expected[1] + 1);
    }
}

TEST(EmulatedGpu, SelectsFromPairsAsFromSortedNumbers) {
  expect_selection_of_pairs<8>();
  expect_selection_of_pairs<16>();
  expect_selection_of_pairs<32>();
  expect_selection_of_pairs<64>();
}

}  // namespace
