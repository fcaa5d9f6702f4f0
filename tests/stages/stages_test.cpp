// Each stage of the published method on the CPU's lanes of the baseline instruction set against the double-precision
// reference, selection against sorting, and the other instruction sets against the baseline.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "support/checker.hpp"
#include "support/distributions.hpp"
#include "support/float_problem.hpp"
#include "support/reference_published.hpp"
#include "tsenor/detail/cpu_machines.hpp"

namespace {

using namespace tsenor_test;
namespace machine = tsenor::detail::baseline;
using tsenor::pattern;

constexpr std::uint64_t seed = 20250523;

// Loads tile `tile` as the published method does, absent outside M x M.
template <class L>
machine::tile_scale load_tile(L& l, const float_problem& call, std::int64_t tile) {
  const int m = call.nm.m;
  const auto at = tsenor::detail::position_of(call.grid, m, tile);
  const auto scale =
      machine::load(l, call, at, m, m, [&](int i, const typename L::real& x) { l.importance.set_col_entry(i, x); });
  l.importance.template seal<false>();
  return scale;
}

std::vector<double> magnitudes(const std::vector<float>& tiles, int m, std::int64_t tile) {
  std::vector<double> r(m * m);
  for (int k = 0; k < m * m; k++) r[k] = std::abs(double(tiles[tile * m * m + k]));
  return r;
}

// The largest error of each tile's plan.
template <int Width>
std::vector<double> plan_errors(pattern p, distribution d, int tiles) {
  const auto weights = make_weights(d, tiles * p.m, p.m, seed);
  const tsenor::options opts = tsenor::options::published();
  const float_problem call = problem_of(p, weights, opts);
  typename machine::lanes<Width>::memory memory;
  std::vector<double> errors;
  for (int tile = 0; tile < tiles; tile++) {
    machine::lanes<Width> l(memory);
    const auto scale = load_tile(l, call, tile);
    machine::dykstra(l, scale, p, call.tau, call.iterations);
    const auto reference = reference_plan(magnitudes(weights, p.m, tile).data(), p, opts);
    double error = 0;
    for (int i = 0; i < p.m; i++)
      for (int j = 0; j < p.m; j++)
        error = std::max(error, std::abs(reference[i * p.m + j] - double(l.plan.element(i, j))));
    errors.push_back(error);
  }
  return errors;
}

template <int Width>
void expect_plan_matches(pattern p, int tiles) {
  SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " seed " << seed);
  const auto errors = plan_errors<Width>(p, distribution::gaussian, tiles);
  EXPECT_LE(*std::max_element(errors.begin(), errors.end()), 1e-3);
  const auto close = std::count_if(errors.begin(), errors.end(), [](double e) { return e <= 1e-4; });
  EXPECT_GE(double(close), 0.99 * double(errors.size()));
}

TEST(Dykstra, PlanMatchesThreeProjectionsInDouble) {
  for (const pattern p : {pattern{1, 2}, pattern{2, 4}, pattern{3, 6}, pattern{4, 8}, pattern{1, 8}, pattern{7, 8}})
    expect_plan_matches<8>(p, 200);
  for (const pattern p : {pattern{5, 10}, pattern{8, 16}, pattern{4, 16}, pattern{11, 13}})
    expect_plan_matches<16>(p, 100);
  for (const pattern p : {pattern{16, 32}, pattern{8, 32}, pattern{7, 19}}) expect_plan_matches<32>(p, 50);
  for (const pattern p : {pattern{32, 64}, pattern{20, 50}}) expect_plan_matches<64>(p, 12);
}

TEST(Dykstra, PlanOfHostileTilesMatchesToo) {
  for (const distribution d : all_distributions) {
    SCOPED_TRACE(testing::Message() << name_of(d) << " seed " << seed);
    for (const double error : plan_errors<16>({8, 16}, d, 40)) EXPECT_LE(error, 2e-3);
  }
}

TEST(Load, ScalesByAPowerOfTwoAndCountsWhatIsNoImportance) {
  std::vector<float> weights(64, 0.f);
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  weights[1] = 3e-30f, weights[8] = -5e-30f, weights[9] = nan;
  const float_problem call = problem_of({4, 8}, weights, tsenor::options::published());
  machine::lanes<8>::memory memory;
  machine::lanes<8> l(memory);
  auto scale = load_tile(l, call, 0);
  EXPECT_EQ(scale.replaced, 1);
  EXPECT_EQ(scale.largest, l.importance.element(1, 0));
  EXPECT_EQ(std::ldexp(l.importance.element(0, 1), scale.exponent), 3e-30f);
  EXPECT_EQ(std::ldexp(l.importance.element(1, 0), scale.exponent), 5e-30f);
  EXPECT_TRUE(scale.largest >= 1.f && scale.largest < 2.f);
  weights[0] = -infinity;
  scale = load_tile(l, call, 0);
  EXPECT_EQ(scale.replaced, 2);
  EXPECT_EQ(std::ldexp(l.importance.element(0, 0), scale.exponent), std::numeric_limits<float>::max());
}

// The greedy and local-search stages on a plan of their own, ties and all.
template <int Width>
void expect_rounding_matches(pattern p, distribution d, tsenor::constraint kept) {
  SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " " << name_of(d) << " seed " << seed);
  constexpr int tiles = 20;
  const auto weights = make_weights(d, tiles * p.m, p.m, seed);
  const auto plans = make_weights(d == distribution::ties ? d : distribution::uniform, tiles * p.m, p.m, seed + 1);
  tsenor::options opts = tsenor::options::published();
  opts.constraint = kept;
  const float_problem call = problem_of(p, weights, opts);
  typename machine::lanes<Width>::memory memory;
  for (int tile = 0; tile < tiles; tile++) {
    machine::lanes<Width> l(memory);
    load_tile(l, call, tile);
    std::vector<double> plan(p.m * p.m);
    for (int i = 0; i < Width; i++)
      for (int j = 0; j < Width; j++) l.plan.set(i, j, 0.f);
    for (int i = 0; i < p.m; i++)
      for (int j = 0; j < p.m; j++) {
        const float x = std::abs(plans[(tile * p.m + i) * p.m + j]) / 4;
        l.plan.set(i, j, x);
        plan[i * p.m + j] = x;
      }
    l.plan.template seal<false>();
    auto mask = machine::greedy(l, p);
    const int moves = machine::local_search(l, mask, p, opts.local_search_steps, kept == tsenor::constraint::exactly);
    const auto expected = reference_round(magnitudes(weights, p.m, tile).data(), plan.data(), p, opts);
    std::vector<std::uint8_t> got(p.m * p.m);
    for (int i = 0; i < p.m; i++)
      for (int j = 0; j < p.m; j++) got[i * p.m + j] = machine::lanes<Width>::at(mask.rows, i) >> j & 1u;
    EXPECT_EQ(got, expected.mask) << "tile " << tile;
    EXPECT_EQ(moves, expected.moves) << "tile " << tile;
  }
}

TEST(Round, MatchesTheSequentialGreedyAndLocalSearch) {
  for (const auto kept : {tsenor::constraint::exactly, tsenor::constraint::at_most})
    for (const distribution d : {distribution::gaussian, distribution::ties}) {
      for (const pattern p : {pattern{4, 8}, pattern{1, 5}, pattern{3, 7}}) expect_rounding_matches<8>(p, d, kept);
      for (const pattern p : {pattern{8, 16}, pattern{9, 13}}) expect_rounding_matches<16>(p, d, kept);
      for (const pattern p : {pattern{16, 32}, pattern{31, 32}, pattern{5, 20}})
        expect_rounding_matches<32>(p, d, kept);
      for (const pattern p : {pattern{32, 64}, pattern{10, 40}}) expect_rounding_matches<64>(p, d, kept);
    }
}

// The n-th and the next largest of `Count` numbers in each lane of a vector, for every n. Selection only compares and
// moves, so it is right for all numbers if it is for any counts of larger ones in the two halves.
template <class Number, class Vector, int Count>
void expect_selection_of_vectors() {
  constexpr int lanes = sizeof(Vector) / sizeof(Number);
  const auto cases = cases_of_selection<Number>(Count, seed);
  for (int n = 1; n <= Count; n++)
    for (std::size_t first = 0; first < cases.size(); first += lanes) {
      Vector t[Count], x, y;
      const auto numbers = [&](int lane) { return cases[std::min(first + lane, cases.size() - 1)]; };
      for (int lane = 0; lane < lanes; lane++)
        for (int k = 0; k < Count; k++) t[k][lane] = numbers(lane)[k];
      machine::around_rank<Count>(t, n, x, y);
      for (int lane = 0; lane < lanes; lane++)
        EXPECT_EQ(descending<Number>({x[lane], y[lane]}), around_rank_of(numbers(lane), n)) << n << " of " << Count;
    }
}

template <int Width>
void expect_selection() {
  using lanes = machine::lanes<Width>;
  expect_selection_of_vectors<std::int32_t, std::decay_t<decltype(typename lanes::index().part[0])>, Width>();
  expect_selection_of_vectors<std::int16_t, typename lanes::coarse, Width>();
}

TEST(Select, FindsTheNumbersAroundEveryRank) {
  expect_selection<8>();
  expect_selection<16>();
  expect_selection<32>();
  expect_selection<64>();
}

// What an instruction set gives for tiles one below the other.
struct outcome {
  std::vector<std::uint8_t> mask;
  std::vector<float> prices;
  double value = 0;
};

std::vector<outcome> outcomes(pattern p, distribution d, const tsenor::options& opts) {
  using tsenor::detail::instruction_set;
  constexpr int tiles = 24;
  const auto weights = make_weights(d, tiles * p.m, p.m, seed);
  std::vector<outcome> all;
  for (const auto isa : {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512}) {
    if (isa > tsenor::detail::best_instruction_set()) continue;
    outcome o{std::vector<std::uint8_t>(weights.size(), 255), std::vector<float>(tiles * 2 * p.m)};
    std::vector<tsenor::tile_report> reports(tiles);
    tsenor::mask_outputs<float> out;
    out.mask = o.mask.data();
    out.reports = reports.data();
    out.prices = o.prices.data();
    const float_problem call = problem_of(p, weights, opts, out);
    run_float_tiles(isa, call);
    for (const auto& r : reports) o.value += r.value;
    all.push_back(o);
  }
  return all;
}

TEST(Machines, GiveMasksAsGoodAsTheBaselinesByThePublishedMethod) {
  const auto all = outcomes({8, 16}, distribution::gaussian, tsenor::options::published());
  for (const outcome& o : all) {
    EXPECT_EQ(*std::max_element(o.mask.begin(), o.mask.end()), 1);
    EXPECT_NEAR(o.value, all[0].value, 1e-4 * all[0].value);
  }
}

// Integers leave no room for rounding.
void expect_equal_outcomes(pattern p) {
  for (const auto kept : {tsenor::constraint::exactly, tsenor::constraint::at_most})
    for (const distribution d : {distribution::gaussian, distribution::ties, distribution::mostlyzero}) {
      SCOPED_TRACE(testing::Message() << p.n << ":" << p.m << " " << name_of(d) << " seed " << seed);
      auto opts = tsenor::options::optimal();
      opts.constraint = kept;
      const auto all = outcomes(p, d, opts);
      for (const outcome& o : all) {
        EXPECT_EQ(*std::max_element(o.mask.begin(), o.mask.end()), 1);
        EXPECT_EQ(o.mask, all[0].mask);
        EXPECT_EQ(o.prices, all[0].prices);
      }
    }
}

TEST(Machines, GiveTheVeryMasksAndPricesOfTheBaselineByTheOptimalMethod) {
  for (const pattern p : {pattern{4, 8}, pattern{2, 4}, pattern{3, 7}, pattern{8, 8}, pattern{8, 16}, pattern{5, 10},
                          pattern{16, 32}, pattern{31, 32}, pattern{6, 20}, pattern{32, 64}, pattern{10, 50}})
    expect_equal_outcomes(p);
}

}  // namespace
