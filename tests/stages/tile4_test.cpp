// The whole solver of a 4x4 tile against every mask there is, and hardware vectors of tiles against one tile at a time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "support/brute_force.hpp"
#include "support/distributions.hpp"
#include "tsenor/detail/cpu_machines.hpp"

namespace {

using namespace tsenor_test;
using tsenor::constraint;
using tsenor::detail::baseline::best_of_tile4;
using tsenor::detail::baseline::one_tile;

constexpr std::uint64_t seed = 4711;
constexpr int tiles = 48;  // a multiple of the longest vector

// [tile][16], each tile scaled so that its largest importance is in [1, 2).
using tile_values = std::vector<float>;

tile_values scaled(tile_values w) {
  for (std::size_t first = 0; first < w.size(); first += 16) {
    float largest = 0;
    for (int k = 0; k < 16; k++) largest = std::max(largest, w[first + k] = std::abs(w[first + k]));
    for (int k = 0; k < 16 && largest > 0; k++) w[first + k] = std::ldexp(w[first + k], -std::ilogb(largest));
  }
  return w;
}

tile_values tiles_of(distribution d) { return scaled(make_weights(d, tiles * 4, 4, seed)); }

// Importances from 2^-140 to 1.
tile_values spread_tiles() {
  std::mt19937_64 bits(seed);
  std::uniform_real_distribution<float> exponent(-140, 0);
  tile_values w(tiles * 16);
  for (float& x : w) x = std::exp2(exponent(bits));
  return scaled(w);
}

struct test_case {
  const char* name;
  tile_values w;
};

std::vector<test_case> all_cases() {
  std::vector<test_case> cases{{"zero", tile_values(16 * 16)}, {"spread", spread_tiles()}};
  for (const distribution d : all_distributions) cases.push_back({name_of(d), tiles_of(d)});
  return cases;
}

template <int Lanes>
struct vectors {
  static constexpr int count = Lanes;
  typedef float real __attribute__((vector_size(4 * Lanes)));
  typedef std::uint32_t bits __attribute__((vector_size(4 * Lanes)));
  template <class V>
  static auto get(const V& x, int k) {
    return x[k];
  }
};

std::vector<std::uint32_t> solve_one_by_one(const tile_values& all, int n, constraint c) {
  std::vector<std::uint32_t> masks;
  for (std::size_t first = 0; first < all.size(); first += 16) {
    float w[4][4];
    for (int k = 0; k < 16; k++) w[k / 4][k % 4] = all[first + k];
    masks.push_back(best_of_tile4<one_tile>(w, n, c == constraint::at_most));
  }
  return masks;
}

template <int Lanes>
std::vector<std::uint32_t> solve_as_vectors(const tile_values& all, int n, constraint c) {
  std::vector<std::uint32_t> masks;
  for (std::size_t first = 0; first < all.size(); first += 16 * Lanes) {
    typename vectors<Lanes>::real w[4][4];
    for (int k = 0; k < 16; k++)
      for (int lane = 0; lane < Lanes; lane++) w[k / 4][k % 4][lane] = all[first + 16 * lane + k];
    const auto kept = best_of_tile4<vectors<Lanes>>(w, n, c == constraint::at_most);
    for (int lane = 0; lane < Lanes; lane++) masks.push_back(kept[lane]);
  }
  return masks;
}

void expect_feasible(std::uint32_t mask, const float* w, int n, constraint c) {
  EXPECT_EQ(mask >> 16, 0u);
  for (int line = 0; line < 4; line++) {
    const int row = __builtin_popcount(mask >> 4 * line & 0xfu), col = __builtin_popcount(mask >> line & 0x1111u);
    EXPECT_LE(row, n);
    EXPECT_LE(col, n);
    if (c == constraint::exactly) {
      EXPECT_EQ(row, n);
      EXPECT_EQ(col, n);
    }
  }
  for (int k = 0; k < 16 && c == constraint::at_most; k++) EXPECT_TRUE((mask >> k & 1u) == 0 || w[k] > 0) << k;
}

// Feasible masks whose value is the optimum but for a relative `error`.
void expect_optimal(const test_case& input, int n, constraint c, double error) {
  const brute_force reference({n, 4}, c);
  const auto masks = solve_one_by_one(input.w, n, c);
  for (std::size_t t = 0; t < masks.size(); t++) {
    SCOPED_TRACE(testing::Message() << n << ":4 " << (c == constraint::exactly ? "exactly " : "at most ") << input.name
                                    << " seed " << seed << " tile " << t);
    expect_feasible(masks[t], &input.w[16 * t], n, c);
    const std::vector<double> w(&input.w[16 * t], &input.w[16 * t] + 16);
    double value = 0;
    for (int k = 0; k < 16; k++) value += masks[t] >> k & 1u ? w[k] : 0.0;
    EXPECT_LE(reference.optimum(w.data()) - value, error * value);
  }
}

TEST(Tile4, FindsTheOptimumOfAllMasks) {
  for (const test_case& input : all_cases())
    for (const constraint c : {constraint::exactly, constraint::at_most})
      for (int n = 1; n <= 4; n++) expect_optimal(input, n, c, 0x1p-20);
}

TEST(Tile4, IsExactWhereSumsAre) {
  for (const distribution d : {distribution::ties, distribution::constant})
    for (const constraint c : {constraint::exactly, constraint::at_most})
      for (int n = 1; n <= 4; n++) expect_optimal({name_of(d), tiles_of(d)}, n, c, 0);
}

TEST(Tile4, GivesVectorsOfTilesTheMasksOfEachTile) {
  for (const test_case& input : all_cases())
    for (const constraint c : {constraint::exactly, constraint::at_most})
      for (int n = 1; n <= 4; n++) {
        SCOPED_TRACE(testing::Message() << n << ":4 " << input.name << " seed " << seed);
        const auto expected = solve_one_by_one(input.w, n, c);
        EXPECT_EQ(solve_as_vectors<4>(input.w, n, c), expected);
        EXPECT_EQ(solve_as_vectors<8>(input.w, n, c), expected);
        EXPECT_EQ(solve_as_vectors<16>(input.w, n, c), expected);
      }
}

// An entry alone in its row and column, and two in each other row and column, at each place and with each permutation
// left out.
TEST(Tile4, KeepsSevenEntriesWhereNoEighthIsOfUse) {
  constexpr int left_out[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int place = 0; place < 16; place++)
    for (const auto& permutation : left_out) {
      const int row = place / 4, col = place % 4;
      std::uint32_t seven = 1u << place;
      for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
          if (permutation[i] != j) seven |= 1u << (4 * (i < row ? i : i + 1) + (j < col ? j : j + 1));
      float w[4][4];
      for (int k = 0; k < 16; k++) w[k / 4][k % 4] = seven >> k & 1u ? 1.f : 0.f;
      EXPECT_EQ(best_of_tile4<one_tile>(w, 2, true), seven);
    }
}

}  // namespace
