#include "tsenor/summarize.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace {

using tsenor::cpu_executor;
using tsenor::report_summary;
using tsenor::status_code;
using tsenor::summarize;
using tsenor::tile_report;

constexpr report_summary untouched{-1, -1, -1, -9, -1, -1, -1};

std::vector<tile_report> random_reports(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> value(1.0, 9.0), gap(0.0, 1.0);
  std::vector<tile_report> reports(count);
  for (auto& r : reports) {
    r.value = value(random);
    r.bound = r.value + gap(random);
    r.iterations = 300;
    r.moves = static_cast<int>(random() % 10);
    r.replaced = static_cast<int>(random() % 3);
    r.flags = 0;
  }
  return reports;
}

class Summarize : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Counts, Summarize, testing::Values(1u, 2u, 63u, 64u, 65u, 1000u, 100000u));

TEST_P(Summarize, AddsUpEveryTile) {
  const auto reports = random_reports(GetParam(), 7);
  long double value = 0, bound = 0;
  std::int64_t moves = 0, replaced = 0, worst = 0;
  for (std::size_t k = 0; k < reports.size(); ++k) {
    value += reports[k].value;
    bound += reports[k].bound;
    moves += reports[k].moves;
    replaced += reports[k].replaced;
    const auto& w = reports[static_cast<std::size_t>(worst)];
    if (reports[k].bound - reports[k].value > w.bound - w.value) worst = static_cast<std::int64_t>(k);
  }

  report_summary sum = untouched;
  ASSERT_TRUE(summarize(cpu_executor{4}, reports.data(), static_cast<std::int64_t>(reports.size()), &sum));

  const auto& w = reports[static_cast<std::size_t>(worst)];
  EXPECT_NEAR(sum.value, static_cast<double>(value), 1e-12 * static_cast<double>(value));
  EXPECT_NEAR(sum.bound, static_cast<double>(bound), 1e-12 * static_cast<double>(bound));
  EXPECT_EQ(sum.worst_gap, w.bound - w.value);
  EXPECT_EQ(sum.worst_tile, worst);
  EXPECT_EQ(sum.tiles, static_cast<std::int64_t>(reports.size()));
  EXPECT_EQ(sum.moves, moves);
  EXPECT_EQ(sum.replaced, replaced);
}

TEST(SummarizeWorst, IsTheFirstOfEqualGapsAndMayBeNegative) {
  std::vector<tile_report> reports(200, {2.0, 1.5, 0, 0, 0, 0});
  report_summary sum = untouched;
  ASSERT_TRUE(summarize(cpu_executor{}, reports.data(), 200, &sum));
  EXPECT_EQ(sum.worst_tile, 0);
  EXPECT_EQ(sum.worst_gap, -0.5);

  reports[150].bound = reports[90].bound = 4.0;
  ASSERT_TRUE(summarize(cpu_executor{}, reports.data(), 200, &sum));
  EXPECT_EQ(sum.worst_tile, 90);
  EXPECT_EQ(sum.worst_gap, 2.0);
}

TEST(SummarizeThreads, DoNotChangeABit) {
  const auto reports = random_reports(50000, 8);
  report_summary one = untouched, five = untouched;
  ASSERT_TRUE(summarize(cpu_executor{1}, reports.data(), 50000, &one));
  ASSERT_TRUE(summarize(cpu_executor{5}, reports.data(), 50000, &five));
  EXPECT_EQ(std::memcmp(&one, &five, sizeof one), 0);
}

TEST(SummarizeEmpty, IsZerosWithoutAWorstTile) {
  report_summary sum = untouched;
  ASSERT_TRUE(summarize(cpu_executor{}, nullptr, 0, &sum));
  EXPECT_EQ(sum.value, 0);
  EXPECT_EQ(sum.worst_gap, 0);
  EXPECT_EQ(sum.worst_tile, -1);
  EXPECT_EQ(sum.tiles, 0);
}

TEST(SummarizeErrors, LeaveTheResultAlone) {
  const auto reports = random_reports(4, 9);
  report_summary sum = untouched;
  EXPECT_EQ(summarize(cpu_executor{}, reports.data(), -1, &sum).code(), status_code::invalid_shape);
  EXPECT_EQ(summarize(cpu_executor{}, nullptr, 4, &sum).code(), status_code::invalid_pointer);
  EXPECT_EQ(summarize(cpu_executor{}, reports.data(), 4, nullptr).code(), status_code::invalid_pointer);
  const auto* crooked = reinterpret_cast<const tile_report*>(reinterpret_cast<const char*>(reports.data()) + 4);
  EXPECT_EQ(summarize(cpu_executor{}, crooked, 2, &sum).code(), status_code::invalid_pointer);
  EXPECT_EQ(summarize(cpu_executor{-1}, reports.data(), 4, &sum).code(), status_code::invalid_option);
  EXPECT_EQ(std::memcmp(&sum, &untouched, sizeof sum), 0);
}

TEST(SummarizeErrors, RefuseAResultWithinTheReports) {
  auto reports = random_reports(4, 10);
  auto* const inside = reinterpret_cast<report_summary*>(&reports[1]);
  EXPECT_EQ(summarize(cpu_executor{}, reports.data(), 4, inside).code(), status_code::overlapping_buffers);
}

}  // namespace
