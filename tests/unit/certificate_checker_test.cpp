// The judge of certificates itself, on tiles small enough to judge by hand.
#include "certificate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tsenor_test {
namespace {

using tsenor::constraint;
using masks = std::vector<std::uint8_t>;
using prices = std::vector<double>;

// The 1:2 tile (3 1; 1 3). Its optimum is 6, on the diagonal; u = (-2, -2) with v = 0 proves it: 4 + 1 + 1.
const std::vector<double> tile = {3, 1, 1, 3};
const masks diagonal = {1, 0, 0, 1};
const prices proof = {-2, -2, 0, 0};

certificate judge_tile(constraint kept, const masks& mask, const prices& p) {
  return judge(tile_problem{{1, 2}, kept, 2, 2, tile.data()}, mask.data(), p.data());
}

void expect_error(const certificate& c, const std::string& part) {
  EXPECT_FALSE(holds(c));
  EXPECT_NE(c.error.find(part), std::string::npos) << "said: " << c.error;
}

TEST(CertificateChecker, AcceptsAnOptimumWithItsProof) {
  for (const constraint kept : {constraint::exactly, constraint::at_most}) {
    const certificate c = judge_tile(kept, diagonal, proof);
    EXPECT_TRUE(holds(c));
    EXPECT_DOUBLE_EQ(c.value, 6);
    EXPECT_DOUBLE_EQ(c.bound, 6);
    EXPECT_DOUBLE_EQ(c.limit, 6e-5);
  }
}

TEST(CertificateChecker, AcceptsPricesInFloat) {
  const std::vector<float> p(proof.begin(), proof.end());
  EXPECT_TRUE(holds(judge(tile_problem{{1, 2}, constraint::exactly, 2, 2, tile.data()}, diagonal.data(), p.data())));
}

TEST(CertificateChecker, RefusesAMaskThatIsNotTheOptimum) {
  const certificate c = judge_tile(constraint::exactly, {0, 1, 1, 0}, proof);
  expect_error(c, "too far above");
  EXPECT_DOUBLE_EQ(c.value, 2);
  EXPECT_DOUBLE_EQ(c.bound, 6);
}

TEST(CertificateChecker, RefusesAMaskThatBreaksThePattern) {
  expect_error(judge_tile(constraint::exactly, {1, 1, 0, 0}, proof), "row 0 keeps 2");
  expect_error(judge_tile(constraint::at_most, {1, 0, 1, 0}, proof), "column 0 keeps 2");
  expect_error(judge_tile(constraint::exactly, {1, 0, 0, 0}, proof), "row 1 keeps 0");
  expect_error(judge_tile(constraint::exactly, {1, 0, 0, 255}, proof), "byte 255");
}

// The tile (3 0; 0 0) keeps one weight under at most N, where prices of 0 are the proof.
TEST(CertificateChecker, AcceptsLinesWithRoomUnderAtMostAlone) {
  const std::vector<double> w = {3, 0, 0, 0};
  const masks mask = {1, 0, 0, 0};
  const prices none(4, 0.0);
  EXPECT_TRUE(holds(judge(tile_problem{{1, 2}, constraint::at_most, 2, 2, w.data()}, mask.data(), none.data())));
  expect_error(judge(tile_problem{{1, 2}, constraint::exactly, 2, 2, w.data()}, mask.data(), none.data()), "row 1");
}

// A constant may move from rows to columns under exactly N; under at most N a positive price proves nothing.
TEST(CertificateChecker, RefusesPositivePricesUnderAtMost) {
  const prices shifted = {-3, -3, 1, 1};
  EXPECT_TRUE(holds(judge_tile(constraint::exactly, diagonal, shifted)));
  expect_error(judge_tile(constraint::at_most, diagonal, shifted), "v[0] = 1.000000 is positive");
}

TEST(CertificateChecker, RefusesPricesThatProveTooLittle) {
  const certificate c = judge_tile(constraint::exactly, diagonal, prices(4, 0.0));
  expect_error(c, "too far above");
  EXPECT_DOUBLE_EQ(c.bound, 8);
}

TEST(CertificateChecker, RefusesPricesThatAreNotFinite) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    for (std::size_t k = 0; k < proof.size(); ++k) {
      prices p = proof;
      p[k] = bad;
      expect_error(judge_tile(constraint::exactly, diagonal, p), "not finite");
    }
  }
}

// u_0 = -3 - x leaves the bound x above the value of 6: allowed are 1e-5 of that.
TEST(CertificateChecker, DrawsTheLineAtTheLimitOfTheValue) {
  EXPECT_TRUE(holds(judge_tile(constraint::exactly, diagonal, {-3 - 5.9e-5, -3, 0, 0})));
  expect_error(judge_tile(constraint::exactly, diagonal, {-3 - 6.1e-5, -3, 0, 0}), "too far above");
}

// One weight of 1 in a 1:64 tile: allowed are 64 * 64 / 2^25 of it, which is more than 1e-5 of the value.
TEST(CertificateChecker, DrawsTheLineAtTheLimitOfTheLargestWeight) {
  constexpr int m = 64;
  std::vector<double> w(m * m, 0.0);
  masks mask(m * m, 0);
  w[0] = mask[0] = 1;
  const tile_problem problem{{1, m}, constraint::at_most, m, m, w.data()};
  for (const double x : {1.2e-4, 1.25e-4}) {
    prices p(2 * m, 0.0);
    p[0] = -1 - x;
    EXPECT_EQ(bool(holds(judge(problem, mask.data(), p.data()))), x < std::ldexp(1.0, -13)) << x;
  }
}

// A 1 x 2 tile at the edge of a 1:2 matrix: at most one of (3 1), proved by u = (-1), v = (0 0).
TEST(CertificateChecker, HoldsPartialTilesToAtMost) {
  const std::vector<double> w = {3, 1};
  const tile_problem problem{{1, 2}, constraint::exactly, 1, 2, w.data()};
  const masks mask = {1, 0};
  EXPECT_TRUE(holds(judge(problem, mask.data(), prices{-1, 0, 0, 0}.data())));
  expect_error(judge(problem, mask.data(), prices{-1, -1, 0, 0}.data()), "u[1]");
  expect_error(judge(problem, mask.data(), prices{-1.5, 0, 0.5, 0.5}.data()), "positive");
  expect_error(judge(problem, masks{1, 1}.data(), prices{-1, 0, 0, 0}.data()), "row 0 keeps 2");
}

}  // namespace
}  // namespace tsenor_test
