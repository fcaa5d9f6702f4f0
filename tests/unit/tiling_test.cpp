// Tiles are found by a multiplication: against / and %.
#include "tsenor/detail/tiling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace {

using tsenor::detail::divisor;
using tsenor::detail::position_of;
using tsenor::detail::position_of_whole;
using tsenor::detail::position_of_whole_or_none;
using tsenor::detail::tile_position;
using tsenor::detail::tiles_of;
using tsenor::detail::tiling;

constexpr std::int64_t two31 = std::int64_t{1} << 31, most = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t seed = 1994;

// Of a divisor for no more than x, and of one for all numbers.
void expect_quotient_and_rest(std::int64_t x, std::int64_t value) {
  for (const std::int64_t dividends : {x < most ? x + 1 : most, most}) {
    const divisor::result got = divisor(value, dividends).divide(x);
    EXPECT_EQ(got.whole, x / value) << x << " by " << value << " of " << dividends << " seed " << seed;
    EXPECT_EQ(got.rest, x % value) << x << " by " << value << " of " << dividends << " seed " << seed;
  }
}

// Powers of two and their neighbours, and what else has been wrong in such code.
std::vector<std::int64_t> edges() {
  std::vector<std::int64_t> all = {3, 5, 6, 7, 641, 1000000007, 3 * (two31 / 4), two31 / 3, most - 1, most};
  for (int k = 0; k < 63; ++k)
    for (int d = -1; d <= 1; ++d) all.push_back((std::int64_t{1} << k) + d);
  return all;
}

TEST(Divisor, DividesAtTheEdges) {
  for (const std::int64_t value : edges()) {
    if (value < 1) continue;
    for (const std::int64_t x : edges()) expect_quotient_and_rest(x, value);
  }
}

// Where a factor that is rounded the wrong way shows first.
TEST(Divisor, DividesMultiplesAndTheirNeighbours) {
  std::mt19937_64 bits(seed);
  for (int round = 0; round < 20000; ++round) {
    const std::int64_t value = std::int64_t(bits() >> (33 + bits() % 31)) + 1;  // to 2^31, of all sizes
    const std::int64_t multiple = std::int64_t(bits() % std::uint64_t((two31 - 1) / value + 1)) * value;
    for (const std::int64_t x : {multiple - 1, multiple, multiple + 1, two31 - 1, std::int64_t(bits() % two31)})
      if (x >= 0) expect_quotient_and_rest(x, value);
  }
}

TEST(Divisor, DividesBeyond32Bits) {
  std::mt19937_64 bits(seed);
  for (int round = 0; round < 20000; ++round)
    expect_quotient_and_rest(std::int64_t(bits() >> (1 + bits() % 32)), std::int64_t(bits() >> (1 + bits() % 62)) + 1);
}

TEST(Divisor, KeepsItsValue) {
  for (const std::int64_t value : edges()) EXPECT_EQ(divisor(value, two31 - 1).value(), value);
}

void expect_position(const tiling& t, int m, std::int64_t tile, const tile_position& at) {
  const std::int64_t down = t.tile_rows.value(), across = t.tile_cols.value();
  EXPECT_EQ(at.batch, tile / across / down) << "tile " << tile;
  EXPECT_EQ(at.row, tile / across % down * m) << "tile " << tile;
  EXPECT_EQ(at.col, tile % across * m) << "tile " << tile;
  EXPECT_EQ(at.rows, std::min<std::int64_t>(m, t.rows - at.row)) << "tile " << tile;
  EXPECT_EQ(at.cols, std::min<std::int64_t>(m, t.cols - at.col)) << "tile " << tile;
  EXPECT_EQ(at.partial(m), at.rows < m || at.cols < m) << "tile " << tile;
  EXPECT_TRUE(at.exists) << "tile " << tile;
}
void expect_position(const tiling& t, int m, std::int64_t tile) {
  expect_position(t, m, tile, position_of(t, m, tile));
}

TEST(Tiling, NumbersEveryTileOfASmallBatch) {
  const tiling t = tiles_of(20, 35, 3, 8);
  EXPECT_EQ(t.tile_rows.value(), 3);
  EXPECT_EQ(t.tile_cols.value(), 5);
  ASSERT_EQ(t.tiles, 3 * 3 * 5);
  for (std::int64_t tile = 0; tile < t.tiles; ++tile) expect_position(t, 8, tile);
}

TEST(Tiling, FindsWholeTilesIn32Bits) {
  const struct {
    std::int64_t rows, cols, batch;
    int m;
  } shapes[] = {{24, 40, 3, 8}, {1 << 17, (1 << 17) - 4, 1, 4}, {4 * (two31 - 1), 4, 1, 4}, {4, 4 * (two31 - 1), 1, 4}};
  for (const auto& shape : shapes) {
    const tiling t = tiles_of(shape.rows, shape.cols, shape.batch, shape.m);
    ASSERT_TRUE(t.is_small());
    SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.cols << " in " << shape.m);
    for (const std::int64_t tile : {std::int64_t{0}, t.tiles / 3, t.tiles / 2, t.tiles - 1}) {
      expect_position(t, shape.m, tile, position_of_whole(t, shape.m, std::uint32_t(tile)));
      expect_position(t, shape.m, tile, position_of_whole_or_none(t, shape.m, std::uint32_t(tile)));
    }
    const tile_position past = position_of_whole_or_none(t, shape.m, std::uint32_t(t.tiles + 15));
    EXPECT_FALSE(past.exists);
    EXPECT_EQ(past.row, position_of(t, shape.m, t.tiles - 1).row);
    EXPECT_EQ(past.col, position_of(t, shape.m, t.tiles - 1).col);
  }
}

TEST(Tiling, FindsTilesBeyondTheFirst2ToThe31) {
  const struct {
    std::int64_t rows, cols, batch;
    int m;
  } shapes[] = {{1 << 18, (1 << 18) + 1, 1, 2}, {4 * two31, 4, 2, 4}, {64, 64 * two31, 1, 64}, {5, 3, 3 * two31, 4}};
  for (const auto& shape : shapes) {
    const tiling t = tiles_of(shape.rows, shape.cols, shape.batch, shape.m);
    ASSERT_GE(t.tiles, two31);
    EXPECT_FALSE(t.is_small());
    for (const std::int64_t tile : {std::int64_t{0}, two31 - 1, t.tiles / 2, t.tiles - 1}) {
      SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.cols << " in " << shape.m);
      expect_position(t, shape.m, tile);
    }
  }
}

// Calls are checked after they are cut into tiles.
TEST(Tiling, ReturnsForSizesThatWillBeRefused) {
  for (const std::int64_t rows : {std::int64_t{0}, most, -most, two31})
    for (const std::int64_t cols : {std::int64_t{0}, most, -most, two31})
      for (const std::int64_t batch : {std::int64_t{0}, most, std::int64_t{-1}})
        for (const int m : {1, 2, 64}) EXPECT_EQ(tiles_of(rows, cols, batch, m).rows, rows);
}

TEST(Tiling, PutsLanesPastTheEndOnTheLastTile) {
  const tiling t = tiles_of(9, 9, 2, 8);
  const tile_position last = position_of(t, 8, t.tiles - 1), past = position_of(t, 8, t.tiles + 2);
  EXPECT_FALSE(past.exists);
  EXPECT_EQ(past.batch, last.batch);
  EXPECT_EQ(past.row, last.row);
  EXPECT_EQ(past.col, last.col);
  EXPECT_EQ(past.rows, 1);
  EXPECT_EQ(past.cols, 1);
}

}  // namespace
