// Importance functors, the library's own and a user's, and the entries that take them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "distributions.hpp"
#include "solve_fixed.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {
namespace {

using tsenor::pattern;

constexpr std::uint64_t seed = 99;

// A function is an importance too. Tests that need no lambda share this type, so that the solver is compiled once for
// them.
using function = float (*)(float w, std::int64_t row, std::int64_t col, std::int64_t batch);

solution solve_with_function(const std::vector<float>& weights, std::int64_t rows, std::int64_t cols,
                             function importance) {
  return solve_with<float>(8, rows, cols, [&](const auto& out) {
    const tsenor::matrix_view<const float> view(weights.data(), rows, cols);
    return tsenor::find_mask<4, 8>(tsenor::cpu_executor{2}, view, out, {}, importance);
  });
}

TEST(Importances, SquaredIsTheMaskOfSquares) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 32, 32, seed);
  const auto product = [](float w, std::int64_t, std::int64_t, std::int64_t) { return w * w; };
  const solution s = solve_fixed<4, 8>(weights, 32, 32, {}, tsenor::squared{});
  const solution expected = solve_with_function(weights, 32, 32, product);
  double value = 0;
  for (int k = 0; k < 1024; ++k) value += s.mask[k] ? double(weights[k]) * weights[k] : 0.0;
  EXPECT_NEAR(s.value(), value, 1e-12 * value);
  EXPECT_NEAR(s.value(), expected.value(), 1e-3 * value);
}

TEST(Importances, SquaredLosesNeitherTinyNorHugeWeights) {
  for (distribution d : {distribution::tiny, distribution::huge}) {
    const solution s = solve_fixed<4, 8>(make_weights(d, 64, 8, seed), 64, 8, {}, tsenor::squared{});
    const double scale = d == distribution::tiny ? 1e30 : 1e-30;
    std::vector<float> near_one = make_weights(d, 64, 8, seed);
    for (float& w : near_one) w = static_cast<float>(w * scale);
    const solution expected = solve_fixed<4, 8>(near_one, 64, 8, {}, tsenor::squared{});
    EXPECT_NEAR(s.value() * scale * scale, expected.value(), 1e-3 * expected.value()) << name_of(d);
  }
}

TEST(Importances, WandaWeighsColumns) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 32, 48, seed);
  std::vector<float> norms(48), weighed(weights.size());
  for (int j = 0; j < 48; ++j) norms[j] = 0.5f + float(j % 7);
  for (int k = 0; k < 32 * 48; ++k) weighed[k] = std::abs(weights[k]) * norms[k % 48];
  const solution s = solve_fixed<4, 8>(weights, 32, 48, {}, tsenor::wanda{norms.data()});
  const solution expected = solve(pattern{4, 8}, weighed, 32, 48);
  EXPECT_EQ(s.mask, expected.mask);
  EXPECT_EQ(s.value(), expected.value());
}

TEST(Importances, MayDependOnRowColumnAndBatch) {
  constexpr std::int64_t rows = 16, cols = 24, batch = 2;
  const std::vector<float> weights = make_weights(distribution::gaussian, batch * rows, cols, seed);
  const auto rule = [](float w, std::int64_t i, std::int64_t j, std::int64_t b) {
    return std::abs(w) * float(1 + i % 3) * float(1 + j % 5) * float(1 + 2 * b * (j % 2));
  };
  std::vector<std::uint8_t> mask(weights.size());
  tsenor::mask_outputs<float> out;
  out.mask = mask.data();
  const tsenor::matrix_view<const float> view(weights.data(), rows, cols, cols, batch, rows * cols);
  ASSERT_TRUE((tsenor::find_mask<4, 8>(tsenor::cpu_executor{2}, view, out, {}, rule)).ok());
  for (std::int64_t b = 0; b < batch; ++b) {
    std::vector<float> weighed;
    for (std::int64_t k = 0; k < rows * cols; ++k)
      weighed.push_back(rule(weights[b * rows * cols + k], k / cols, k % cols, b));
    const std::vector<std::uint8_t> expected = solve(pattern{4, 8}, weighed, rows, cols).mask;
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), mask.begin() + b * rows * cols)) << "matrix " << b;
  }
}

TEST(Importances, ThatAreNegativeCountAsZero) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 16, 16, seed);
  const auto identity = [](float w, std::int64_t, std::int64_t, std::int64_t) { return w; };
  int negative = 0;
  double positive_kept = 0;

  const solution s = solve_with_function(weights, 16, 16, identity);

  for (int k = 0; k < 256; ++k) {
    negative += weights[k] < 0;
    positive_kept += s.mask[k] && weights[k] > 0 ? weights[k] : 0.0;
  }
  int replaced = 0;
  for (const tsenor::tile_report& r : s.reports) replaced += r.replaced;
  EXPECT_EQ(replaced, negative);
  EXPECT_NEAR(s.value(), positive_kept, 1e-12 * positive_kept);
}

TEST(Entries, GiveTheSameMask) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 32, 48, seed);
  const tsenor::matrix_view<const float> view(weights.data(), 32, 48);
  std::vector<std::uint8_t> fixed(weights.size()), plain(weights.size());
  tsenor::mask_outputs<float> out;
  out.mask = fixed.data();
  ASSERT_TRUE((tsenor::find_mask<4, 8>(tsenor::cpu_executor{2}, view, out)).ok());
  ASSERT_TRUE((tsenor::find_mask<4, 8>(tsenor::cpu_executor{2}, weights.data(), 32, 48, plain.data())).ok());
  const solution run_time = solve(pattern{4, 8}, weights, 32, 48);
  EXPECT_EQ(fixed, run_time.mask);
  EXPECT_EQ(plain, run_time.mask);
}

// The pattern as template arguments reads weights by their own type, as a run-time value by a type that is a value too.
TEST(Entries, GiveTheSameMaskWhereATileHas32Lanes) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 64, 96, seed);
  EXPECT_EQ((solve_fixed<16, 32>(weights, 64, 96).mask), solve(pattern{16, 32}, weights, 64, 96).mask);
}

}  // namespace
}  // namespace tsenor_test
