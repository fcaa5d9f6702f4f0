// Many callers at once, and results that do not depend on the threads.
#include <gtest/gtest.h>

#include <thread>

#include "distributions.hpp"
#include "solve.hpp"

namespace tsenor_test {
namespace {

using tsenor::pattern;

constexpr pattern p{8, 16};
constexpr std::int64_t rows = 160, cols = 96;

struct job {
  std::vector<float> weights;
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(rows * cols, 255);
  std::vector<tsenor::tile_report> reports = std::vector<tsenor::tile_report>(rows * cols / (p.m * p.m));

  explicit job(std::uint64_t seed) : weights(make_weights(distribution::gaussian, rows, cols, seed)) {}
  tsenor::status run(int threads) {
    tsenor::mask_outputs<float> out;
    out.mask = mask.data();
    out.reports = reports.data();
    return find_any<float>(tsenor::cpu_executor{threads}, p, {weights.data(), rows, cols}, out);
  }
};

bool same_bits(const std::vector<tsenor::tile_report>& a, const std::vector<tsenor::tile_report>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.value == y.value && x.bound == y.bound && x.iterations == y.iterations && x.moves == y.moves &&
           x.replaced == y.replaced && x.flags == y.flags;
  });
}

TEST(Threads, GiveTheSameBitsWhateverTheirNumber) {
  job alone(1);
  ASSERT_TRUE(alone.run(1).ok());
  for (int threads : {0, 1, 2, 3, 8, 64}) {
    job many(1);

    ASSERT_TRUE(many.run(threads).ok());

    EXPECT_EQ(many.mask, alone.mask) << threads << " threads";
    EXPECT_TRUE(same_bits(many.reports, alone.reports)) << threads << " threads";
  }
}

TEST(Threads, MayCallAtTheSameTime) {
  constexpr int callers = 16;
  std::vector<job> at_once, in_turn;
  for (int k = 0; k < callers; ++k) {
    at_once.emplace_back(k);
    in_turn.emplace_back(k);
  }
  std::vector<char> succeeded(callers, 0);

  std::vector<std::thread> threads;
  for (int k = 0; k < callers; ++k) threads.emplace_back([&, k] { succeeded[k] = at_once[k].run(2).ok(); });
  for (std::thread& t : threads) t.join();

  for (int k = 0; k < callers; ++k) {
    ASSERT_TRUE(in_turn[k].run(1).ok());
    EXPECT_TRUE(succeeded[k]) << "caller " << k;
    EXPECT_EQ(at_once[k].mask, in_turn[k].mask) << "caller " << k;
    EXPECT_TRUE(same_bits(at_once[k].reports, in_turn[k].reports)) << "caller " << k;
  }
}

}  // namespace
}  // namespace tsenor_test
