// The published method on the GPU's lanes: stages judged by the reference in double, tiles by the CPU's result.
#include "emulated_gpu.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "support/checker.hpp"
#include "support/distributions.hpp"
#include "support/reference_published.hpp"
#include "support/solve.hpp"

namespace {

using namespace tsenor_test;
namespace machine = tsenor::detail::emulated;
using machine::work;
using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 7;

template <int Width>
void expect_plan_and_rounding_of_reference(pattern nm, distribution d, tsenor::options opts, double most_off = 1e-3) {
  SCOPED_TRACE(testing::Message() << nm.n << ":" << nm.m << " " << name_of(d) << " seed " << seed);
  constexpr int tiles = 5;  // no multiple of the tiles of a warp
  const int m = nm.m;
  const auto weights = make_weights(d, tiles * m, m, seed);
  const auto p = problem_of(nm, weights, tiles * m, m, opts);
  for_each_tile<Width, work::published>(p, lane_order::ascending, [&](auto& l, std::int64_t tile) {
    const auto at = tsenor::detail::position_of(p.grid, m, tile);
    const auto scale = machine::load(l, p, at, m, m, [&](int i, const auto& x) { l.importance.set_col_entry(i, x); });
    l.importance.template seal<false>();
    machine::dykstra(l, scale, nm, p.tau, p.iterations);
    std::vector<double> plan;
    for (int k = 0; k < m * m; k++) plan.push_back(l.plan.element(k / m, k % m));
    auto mask = machine::greedy(l, nm);
    l.restore_importance();
    const int moves = machine::local_search(l, mask, nm, p.local_search_steps, p.kept == constraint::exactly);
    std::vector<typename std::decay_t<decltype(l)>::tile_set> rows;
    for (int i = 0; i < m; i++) rows.push_back(l.at(mask.rows, i));
    if (l.my_lane() != 0 || tile >= tiles) return;
    std::vector<double> importance;
    std::vector<std::uint8_t> got;
    for (int k = 0; k < m * m; k++) {
      importance.push_back(std::abs(weights[tile * m * m + k]));
      got.push_back(rows[k / m] >> (k % m) & 1u);
    }
    const auto expected_plan = reference_plan(importance.data(), nm, opts);
    for (int k = 0; k < m * m; k++)
      EXPECT_NEAR(plan[k], expected_plan[k], most_off) << "tile " << tile << ", entry " << k;
    const auto expected = reference_round(importance.data(), plan.data(), nm, opts);
    EXPECT_EQ(got, expected.mask) << "tile " << tile;
    EXPECT_EQ(moves, expected.moves) << "tile " << tile;
  });
}

template <int Width>
void expect_as_good_as_cpu(pattern nm, distribution d, std::int64_t rows, std::int64_t cols, tsenor::options opts) {
  SCOPED_TRACE(testing::Message() << nm.n << ":" << nm.m << " " << name_of(d) << " seed " << seed);
  const auto weights = make_weights(d, rows, cols, seed);
  const solution cpu = solve(nm, weights, rows, cols, opts);
  for (const lane_order order : both_orders) {
    const solution gpu = solve_with<float>(nm.m, rows, cols, [&](const auto& out) {
      const auto p = problem_of(nm, weights, rows, cols, opts, out);
      for_each_tile<Width, work::published>(p, order,
                                            [&](auto& l, std::int64_t tile) { machine::solve_published(l, p, tile); });
      return tsenor::status{};
    });
    EXPECT_FEASIBLE(gpu.view(), nm, opts.constraint);
    EXPECT_NEAR(gpu.value(), cpu.value(), 0.02 * cpu.value());
    for (std::size_t t = 0; t < gpu.reports.size(); t++) {
      EXPECT_NEAR(gpu.reports[t].bound, cpu.reports[t].bound, 1e-3 * cpu.reports[t].bound);
      EXPECT_GE(gpu.reports[t].bound, gpu.reports[t].value);
      EXPECT_EQ(gpu.reports[t].replaced, cpu.reports[t].replaced);
      EXPECT_EQ(gpu.reports[t].flags, cpu.reports[t].flags);
    }
  }
}

tsenor::options quick(constraint kept, tsenor::edge at_edge = tsenor::edge::reject) {
  tsenor::options o = published_options(kept);
  o.edge = at_edge;
  o.iterations = 60;
  return o;
}

TEST(EmulatedGpu, FindsThePlanAndRoundsItAsTheReferenceDoes) {
  for (const auto kept : both_constraints)
    for (const distribution d : {distribution::gaussian, distribution::ties}) {
      const auto opts = quick(kept);
      for (const pattern nm : {pattern{1, 4}, {2, 4}, {3, 4}, {2, 3}})
        expect_plan_and_rounding_of_reference<4>(nm, d, opts);
      expect_plan_and_rounding_of_reference<8>({4, 8}, d, opts);
      expect_plan_and_rounding_of_reference<8>({2, 5}, d, opts);
      expect_plan_and_rounding_of_reference<16>({8, 16}, d, opts);
      expect_plan_and_rounding_of_reference<32>({16, 32}, d, opts);
      expect_plan_and_rounding_of_reference<32>({7, 20}, d, opts);
      expect_plan_and_rounding_of_reference<64>({9, 36}, d, opts);
      expect_plan_and_rounding_of_reference<64>({16, 64}, d, opts);
    }
}

// Plans of many equal entries, and rows that nothing is left for. Far from its limit a plan depends on how numbers are
// rounded, so only what is made of it is judged.
TEST(EmulatedGpu, RoundsPlansOfWideTilesAsTheReferenceDoes) {
  for (const auto kept : both_constraints)
    for (const auto d :
         {distribution::mostlyzero, distribution::constant, distribution::lognormal, distribution::rank1})
      for (const pattern nm : {pattern{32, 64}, {49, 50}})
        expect_plan_and_rounding_of_reference<64>(nm, d, quick(kept), 1.);
}

TEST(EmulatedGpu, SolvesPartialTilesBesideFullOnesAsWellAsTheCpu) {
  for (const auto kept : both_constraints) {
    const auto opts = quick(kept, tsenor::edge::partial);
    expect_as_good_as_cpu<4>({2, 4}, distribution::gaussian, 19, 29, opts);
    expect_as_good_as_cpu<8>({4, 8}, distribution::gaussian, 19, 29, opts);
    expect_as_good_as_cpu<16>({8, 16}, distribution::gaussian, 35, 17, opts);
    expect_as_good_as_cpu<32>({16, 32}, distribution::gaussian, 40, 33, opts);
    expect_as_good_as_cpu<64>({32, 64}, distribution::gaussian, 65, 70, opts);
  }
}

}  // namespace
