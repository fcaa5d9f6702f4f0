#include "tsenor/check_mask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using tsenor::check_mask;
using tsenor::constraint;
using tsenor::cpu_executor;
using tsenor::edge;
using tsenor::mask_violations;
using tsenor::matrix_view;
using tsenor::pattern;
using tsenor::status_code;

using mask_view = matrix_view<const std::uint8_t>;

constexpr mask_violations untouched{-7, -7};

/// An n:m mask without violations: each row of a tile keeps n in a run that moves on by one from row to row.
std::vector<std::uint8_t> cyclic_mask(std::int64_t rows, std::int64_t cols, pattern p) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * cols));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      mask[static_cast<std::size_t>(i * cols + j)] = (i + j) % p.m < p.n;
    }
  }
  return mask;
}

/// One line of a tile at a time, by the definition and nothing shared with the library.
mask_violations counted_by_hand(const mask_view& v, pattern p, bool exactly) {
  mask_violations found{0, 0};
  const auto line_breaks = [&](std::int64_t b, std::int64_t i, std::int64_t j, bool is_row) {
    const std::int64_t top = i / p.m * p.m, left = j / p.m * p.m;
    const std::int64_t bottom = std::min<std::int64_t>(top + p.m, v.rows),
                       right = std::min<std::int64_t>(left + p.m, v.cols);
    int kept = 0;
    for (std::int64_t k = is_row ? left : top; k < (is_row ? right : bottom); ++k) {
      kept += v.data[b * v.batch_stride + (is_row ? i : k) * v.row_stride + (is_row ? k : j)] != 0;
    }
    const bool full = bottom - top == p.m && right - left == p.m;
    return kept > p.n || (exactly && full && kept != p.n);
  };
  for (std::int64_t b = 0; b < v.batch; ++b) {
    for (std::int64_t i = 0; i < v.rows; ++i) {
      for (std::int64_t j = 0; j < v.cols; j += p.m) found.rows += line_breaks(b, i, j, true);
    }
    for (std::int64_t j = 0; j < v.cols; ++j) {
      for (std::int64_t i = 0; i < v.rows; i += p.m) found.cols += line_breaks(b, i, j, false);
    }
  }
  return found;
}

TEST(CheckMask, FindsNothingInAFeasibleMask) {
  const auto mask = cyclic_mask(32, 48, {4, 8});
  mask_violations found = untouched;
  ASSERT_TRUE((check_mask<4, 8>(cpu_executor{}, {mask.data(), 32, 48}, &found, constraint::exactly)));
  EXPECT_EQ(found.rows, 0);
  EXPECT_EQ(found.cols, 0);
}

TEST(CheckMask, CountsOneRowAndOneColumnWhenOneWeightTooManyIsKept) {
  auto mask = cyclic_mask(16, 16, {4, 8});
  ASSERT_EQ(mask[3 * 16 + 2], 0);
  mask[3 * 16 + 2] = 200;  // any value but 0 is kept
  mask_violations found = untouched;
  ASSERT_TRUE((check_mask<4, 8>(cpu_executor{}, {mask.data(), 16, 16}, &found)));
  EXPECT_EQ(found.rows, 1);
  EXPECT_EQ(found.cols, 1);
}

TEST(CheckMask, CountsDeficitsOnlyUnderExactly) {
  auto mask = cyclic_mask(16, 16, {4, 8});
  mask[0] = 0;
  mask_violations at_most = untouched, exactly = untouched;
  ASSERT_TRUE((check_mask<4, 8>(cpu_executor{}, {mask.data(), 16, 16}, &at_most)));
  ASSERT_TRUE((check_mask<4, 8>(cpu_executor{}, {mask.data(), 16, 16}, &exactly, constraint::exactly)));
  EXPECT_EQ(at_most.rows + at_most.cols, 0);
  EXPECT_EQ(exactly.rows, 1);
  EXPECT_EQ(exactly.cols, 1);
}

TEST(CheckMask, HoldsEdgeTilesToAtMostNUnderExactly) {
  const std::vector<std::uint8_t> empty(10 * 9, 0);
  mask_violations found = untouched;
  ASSERT_TRUE((check_mask<2, 4>(cpu_executor{}, {empty.data(), 10, 9}, &found, constraint::exactly, edge::partial)));
  EXPECT_EQ(found.rows, 4 * 2 * 2);  // the 2 x 2 full tiles, 4 rows each
  EXPECT_EQ(found.cols, 4 * 2 * 2);
}

TEST(CheckMask, AgreesWithTheDefinitionOnRandomMasks) {
  const unsigned seed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const pattern p : {pattern{1, 2}, {2, 4}, {3, 6}, {5, 7}, {8, 16}, {16, 32}, {1, 64}, {40, 64}}) {
    for (const bool exactly : {false, true}) {
      const std::int64_t rows = 2 * p.m + 1, cols = 3 * p.m - 1, stride = cols + 5, batch_stride = rows * stride + 3;
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(3 * batch_stride));
      for (auto& b : bytes) b = static_cast<int>(random() % static_cast<unsigned>(p.m)) < p.n;
      const mask_view view{bytes.data(), rows, cols, stride, 3, batch_stride};
      const mask_violations expected = counted_by_hand(view, p, exactly);
      mask_violations found = untouched;
      ASSERT_TRUE(check_mask(cpu_executor{2}, p, view, &found, exactly ? constraint::exactly : constraint::at_most,
                             edge::partial));
      EXPECT_EQ(found.rows, expected.rows) << p.n << ":" << p.m;
      EXPECT_EQ(found.cols, expected.cols) << p.n << ":" << p.m;
      EXPECT_GT(expected.rows, 0) << "a test without violations says little";
    }
  }
}

TEST(CheckMask, GivesTheSameCountOnAnyNumberOfThreads) {
  std::vector<std::uint8_t> mask(1024 * 1024);
  std::mt19937 random(5);
  for (auto& b : mask) b = random() & 1u;
  mask_violations one = untouched, four = untouched;
  ASSERT_TRUE((check_mask<8, 16>(cpu_executor{1}, {mask.data(), 1024, 1024}, &one)));
  ASSERT_TRUE((check_mask<8, 16>(cpu_executor{4}, {mask.data(), 1024, 1024}, &four)));
  EXPECT_GT(one.rows, 0);
  EXPECT_EQ(one.rows, four.rows);
  EXPECT_EQ(one.cols, four.cols);
}

TEST(CheckMask, SucceedsWhenEmptyAndNull) {
  for (const mask_view view :
       {mask_view{nullptr, 0, 8}, mask_view{nullptr, 8, 0}, mask_view{nullptr, 8, 8, 8, 0, 64}}) {
    mask_violations found = untouched;
    ASSERT_TRUE((check_mask<4, 8>(cpu_executor{}, view, &found)));
    EXPECT_EQ(found.rows, 0);
    EXPECT_EQ(found.cols, 0);
  }
}

TEST(CheckMask, RefusesBadArgumentsAndLeavesTheResultAlone) {
  const std::vector<std::uint8_t> mask(64 * 64, 0);
  const std::uint8_t* m = mask.data();
  const struct {
    pattern p;
    mask_view view;
    status_code expected;
  } cases[] = {
      {{0, 8}, {m, 8, 8}, status_code::invalid_pattern},
      {{9, 8}, {m, 8, 8}, status_code::invalid_pattern},
      {{1, 65}, {m, 8, 8}, status_code::invalid_pattern},
      {{4, 8}, {m, -8, 8}, status_code::invalid_shape},
      {{4, 8}, {m, 8, 8, 7}, status_code::invalid_shape},
      {{4, 8}, {m, 8, 8, 8, 2, 32}, status_code::invalid_shape},
      {{4, 8}, {m, 8, 12}, status_code::not_divisible},
      {{4, 8}, {m, 12, 8}, status_code::not_divisible},
      {{4, 8}, {nullptr, 8, 8}, status_code::invalid_pointer},
  };
  for (const auto& c : cases) {
    mask_violations found = untouched;
    EXPECT_EQ(check_mask(cpu_executor{}, c.p, c.view, &found).code(), c.expected) << c.p.n << ":" << c.p.m;
    EXPECT_EQ(found.rows, untouched.rows);
    EXPECT_EQ(found.cols, untouched.cols);
  }
  EXPECT_EQ((check_mask<4, 8>(cpu_executor{}, {m, 8, 8}, nullptr)).code(), status_code::invalid_pointer);
}

TEST(CheckMask, RefusesNegativeThreads) {
  const std::vector<std::uint8_t> mask(64, 0);
  mask_violations found = untouched;
  const auto s = check_mask<4, 8>(cpu_executor{-1}, {mask.data(), 8, 8}, &found);
  EXPECT_EQ(s.code(), status_code::invalid_option);
  EXPECT_EQ(s.observed(), -1);
  EXPECT_EQ(found.rows, untouched.rows);
}

TEST(CheckMask, RefusesAResultWithinTheMask) {
  alignas(mask_violations) std::uint8_t bytes[64] = {};
  auto* const inside = reinterpret_cast<mask_violations*>(bytes + 16);
  EXPECT_EQ((check_mask<4, 8>(cpu_executor{}, {bytes, 8, 8}, inside)).code(), status_code::overlapping_buffers);
}

}  // namespace
