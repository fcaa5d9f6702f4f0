// Each stage on the CPU's lanes of the baseline instruction set against the double-precision reference, and the other
// instruction sets against the baseline.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
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

std::vector<double> magnitudes(const std::vector<float>& tiles, int m, std::int64_t tile) {
  std::vector<double> r(m * m);
  for (int k = 0; k < m * m; k++) r[k] = std::abs(double(tiles[tile * m * m + k]));
  return r;
}

// The largest error of each tile's plan.
template <int Width>
std::vector<double> plan_errors(pattern p, distribution d, int tiles) {
  const auto weights = make_weights(d, tiles * p.m, p.m, seed);
  const tsenor::options opts;
  const float_problem call = problem_of(p, weights, opts);
  typename machine::lanes<Width>::memory memory;
  std::vector<double> errors;
  for (int tile = 0; tile < tiles; tile++) {
    machine::lanes<Width> l(memory);
    const auto scale = machine::load(l, call, tsenor::detail::position_of(call, tile));
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
  const float_problem call = problem_of({4, 8}, weights, {});
  machine::lanes<8>::memory memory;
  machine::lanes<8> l(memory);
  auto scale = machine::load(l, call, tsenor::detail::position_of(call, 0));
  EXPECT_EQ(scale.replaced, 1);
  EXPECT_EQ(scale.largest, l.importance.element(1, 0));
  EXPECT_EQ(std::ldexp(l.importance.element(0, 1), scale.exponent), 3e-30f);
  EXPECT_EQ(std::ldexp(l.importance.element(1, 0), scale.exponent), 5e-30f);
  EXPECT_TRUE(scale.largest >= 1.f && scale.largest < 2.f);
  weights[0] = -infinity;
  scale = machine::load(l, call, tsenor::detail::position_of(call, 0));
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
  tsenor::options opts;
  opts.constraint = kept;
  const float_problem call = problem_of(p, weights, opts);
  typename machine::lanes<Width>::memory memory;
  for (int tile = 0; tile < tiles; tile++) {
    machine::lanes<Width> l(memory);
    machine::load(l, call, tsenor::detail::position_of(call, tile));
    std::vector<double> plan(p.m * p.m);
    for (int i = 0; i < Width; i++)
      for (int j = 0; j < Width; j++) l.plan.set(i, j, 0.f);
    for (int i = 0; i < p.m; i++)
      for (int j = 0; j < p.m; j++) {
        const float x = std::abs(plans[(tile * p.m + i) * p.m + j]) / 4;
        l.plan.set(i, j, x);
        plan[i * p.m + j] = x;
      }
    l.plan.seal();
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

// Every instruction set that this processor has gives masks as good as the baseline's.
TEST(Machines, AgreeOnValue) {
  using tsenor::detail::instruction_set;
  const pattern p{8, 16};
  constexpr int tiles = 64;
  const auto weights = make_weights(distribution::gaussian, tiles * p.m, p.m, seed);
  std::vector<double> value;
  for (const auto isa : {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512}) {
    if (isa > tsenor::detail::best_instruction_set()) continue;
    std::vector<std::uint8_t> mask(weights.size(), 255);
    std::vector<tsenor::tile_report> reports(tiles);
    tsenor::mask_outputs<float> out;
    out.mask = mask.data();
    out.reports = reports.data();
    const float_problem call = problem_of(p, weights, {}, out);
    tsenor::detail::run_tiles<16>(isa, call, 0, tiles);
    double sum = 0;
    for (const auto& r : reports) sum += r.value;
    value.push_back(sum);
    EXPECT_EQ(*std::max_element(mask.begin(), mask.end()), 1);
  }
  for (const double v : value) EXPECT_NEAR(v, value[0], 1e-4 * value[0]);
}

}  // namespace
