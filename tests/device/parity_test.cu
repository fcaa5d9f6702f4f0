// The GPU against the CPU on the same input: the same problem, solved as well, and nearly always by the same mask.
#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

struct parity_case {
  pattern nm;
  constraint kept;
  distribution weights;
};

void PrintTo(const parity_case& c, std::ostream* out) {
  *out << c.nm.n << ":" << c.nm.m << (c.kept == constraint::exactly ? " exactly " : " at most ") << name_of(c.weights);
}

/// Some 4000 tiles of M = 8, and as many weights for every other M.
layout layout_of(pattern nm) {
  const std::int64_t side = (reduced() ? 64 : 512) / nm.m * nm.m;
  return {nm, side, side};
}

/// The part of the tiles in which two masks agree byte for byte.
double part_of_equal_tiles(const layout& l, const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  std::vector<char> differs(l.tiles(), 0);
  for (std::int64_t i = 0; i < l.rows; ++i) {
    for (std::int64_t j = 0; j < l.cols; ++j) {
      const std::int64_t k = i * l.row_stride() + j;
      if (a[k] != b[k]) differs[i / l.nm.m * l.tile_cols() + j / l.nm.m] = 1;
    }
  }
  return static_cast<double>(std::count(differs.begin(), differs.end(), 0)) / static_cast<double>(differs.size());
}

class Parity : public device_test, public testing::WithParamInterface<parity_case> {};

std::vector<parity_case> all_cases() {
  std::vector<parity_case> cases;
  for (const pattern nm :
       {pattern{1, 2}, {2, 4}, {3, 6}, {4, 8}, {5, 10}, {8, 16}, {7, 24}, {16, 32}, {8, 32}, {32, 64}}) {
    for (const constraint kept : {constraint::exactly, constraint::at_most}) {
      for (const distribution d :
           {distribution::gaussian, distribution::student4, distribution::ties, distribution::tiny}) {
        cases.push_back({nm, kept, d});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, Parity, testing::ValuesIn(all_cases()));

TEST_P(Parity, WithTheCpuInValueBoundAndMask) {
  const auto [nm, kept, weights_from] = GetParam();
  const std::uint64_t seed = 17;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const layout l = layout_of(nm);
  const auto weights = make_weights(weights_from, l.rows, l.cols, seed);
  auto opts = tsenor::options::published();
  opts.constraint = kept;

  const auto cpu = solve_on_cpu(l, weights, opts, poison);
  const auto gpu = solve_on_gpu(l, weights, opts);

  // Among equal weights the last digits of a plan decide, which differ between machines; few tiles do not level that.
  const double part = weights_from == distribution::ties && reduced() ? 1e-3 : 2e-4;
  EXPECT_NEAR(gpu.value(), cpu.value(), part * cpu.value());
  EXPECT_NEAR(gpu.bound(), cpu.bound(), part * cpu.bound());
  if (weights_from == distribution::gaussian && !reduced()) {  // few tiles say little
    EXPECT_GE(part_of_equal_tiles(l, cpu.mask, gpu.mask), 0.99);
  }
  for (std::size_t t = 0; t < l.tiles(); ++t) {
    EXPECT_EQ(gpu.reports[t].replaced, cpu.reports[t].replaced) << "tile " << t;
    EXPECT_EQ(gpu.reports[t].flags, cpu.reports[t].flags) << "tile " << t;
    EXPECT_EQ(gpu.reports[t].iterations, cpu.reports[t].iterations) << "tile " << t;
  }
}

struct quality_case {
  pattern nm;
  double largest_gap;  ///< what the published method may leave to its own bound, on average
};

class Quality : public device_test, public testing::WithParamInterface<quality_case> {};

// The mask is at most 0.15 / 0.18 / 0.12 / 0.20 % below the optimum, the bound 0.2 / 0.15 / 0.1 % above it; at 8:32 no
// limit is given for the bound, 0.2 % is taken.
INSTANTIATE_TEST_SUITE_P(Cases, Quality,
                         testing::Values(quality_case{{4, 8}, 3.5e-3}, quality_case{{8, 16}, 3.3e-3},
                                         quality_case{{16, 32}, 2.2e-3}, quality_case{{8, 32}, 4e-3}),
                         [](const auto& c) {
                           return std::to_string(c.param.nm.n) + "in" + std::to_string(c.param.nm.m);
                         });

TEST_P(Quality, GapToTheOwnBoundIsThatOfThePublishedMethod) {
  const auto [nm, largest_gap] = GetParam();
  const std::int64_t side = reduced() ? 2 * nm.m : 1024;
  const layout l{nm, side, side};
  const auto weights = make_weights(distribution::gaussian, side, side, 23);
  auto opts = tsenor::options::published();
  opts.constraint = tsenor::constraint::exactly;

  const auto s = solve_on_gpu(l, weights, opts);

  EXPECT_GE(s.bound(), s.value());
  EXPECT_LE(s.bound() - s.value(), (reduced() ? 4 : 1) * largest_gap * s.bound());
}

TEST_P(Quality, ReportedValueIsTheImportanceOfTheMask) {
  const auto nm = GetParam().nm;
  const layout l{nm, 2 * nm.m, 2 * nm.m};
  const auto weights = make_weights(distribution::lognormal, l.rows, l.cols, 29);
  const auto s = solve_on_gpu(l, weights, tsenor::options::published());
  std::vector<double> values(l.tiles(), 0.0);
  for (std::int64_t i = 0; i < l.rows; ++i) {
    for (std::int64_t j = 0; j < l.cols; ++j) {
      const std::int64_t k = i * l.cols + j;
      if (s.mask[k]) values[i / nm.m * l.tile_cols() + j / nm.m] += importance_of(weights[k]);
    }
  }
  for (std::size_t t = 0; t < values.size(); ++t) EXPECT_NEAR(s.reports[t].value, values[t], 1e-12 * values[t]);
}

}  // namespace
}  // namespace tsenor_test
