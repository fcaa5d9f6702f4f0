// The emulated CUDA warp itself: collectives give what the CUDA programming guide says, and divergence is fatal.
#include "support/emulated_cuda.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

namespace {

using tsenor_test::lane_order;
using tsenor_test::run_warp;

constexpr unsigned full = 0xffffffffu;

unsigned lane() { return threadIdx.x & 31u; }

class EmulatedCuda : public testing::TestWithParam<lane_order> {};

INSTANTIATE_TEST_SUITE_P(Orders, EmulatedCuda, testing::Values(lane_order::ascending, lane_order::descending),
                         [](const auto& order) {
                           return order.param == lane_order::ascending ? "Ascending" : "Descending";
                         });

TEST_P(EmulatedCuda, RunsEveryLaneOnce) {
  std::array<int, 32> runs{};
  const long collectives = run_warp([&] { runs[lane()] += 1; }, GetParam());
  EXPECT_EQ(collectives, 0);
  for (int r : runs) EXPECT_EQ(r, 1);
}

TEST_P(EmulatedCuda, BallotAnyAndAllSeeEveryLane) {
  std::array<unsigned, 32> ballots{};
  std::array<int, 32> any{}, none{}, all{}, not_all{};
  run_warp(
      [&] {
        ballots[lane()] = __ballot_sync(full, lane() % 3 == 0);
        any[lane()] = __any_sync(full, lane() == 17);
        none[lane()] = __any_sync(full, false);
        all[lane()] = __all_sync(full, true);
        not_all[lane()] = __all_sync(full, lane() != 17);
      },
      GetParam());
  for (int k = 0; k < 32; ++k) {
    EXPECT_EQ(ballots[k], 0x49249249u);
    EXPECT_EQ(any[k], 1);
    EXPECT_EQ(none[k], 0);
    EXPECT_EQ(all[k], 1);
    EXPECT_EQ(not_all[k], 0);
  }
}

TEST_P(EmulatedCuda, ShufflesStayWithinTheirWidth) {
  std::array<int, 32> broadcast{}, rotated{}, swapped{};
  run_warp(
      [&] {
        const int me = static_cast<int>(lane());
        broadcast[lane()] = __shfl_sync(full, me, 3, 8);
        rotated[lane()] = __shfl_sync(full, me, me + 1, 16);
        swapped[lane()] = __shfl_xor_sync(full, me, 4);
      },
      GetParam());
  for (int k = 0; k < 32; ++k) {
    EXPECT_EQ(broadcast[k], k / 8 * 8 + 3);
    EXPECT_EQ(rotated[k], k / 16 * 16 + (k + 1) % 16);
    EXPECT_EQ(swapped[k], k ^ 4);
  }
}

TEST_P(EmulatedCuda, ExclusiveOrShuffleGivesTheOwnValueInsteadOfALaterGroups) {
  std::array<int, 32> swapped{};
  run_warp([&] { swapped[lane()] = __shfl_xor_sync(full, static_cast<int>(lane()), 8, 8); }, GetParam());
  for (int k = 0; k < 32; ++k) EXPECT_EQ(swapped[k], k & 8 ? k ^ 8 : k);
}

TEST_P(EmulatedCuda, ShufflesCarryFloatsAnd64Bits) {
  std::array<float, 32> floats{};
  std::array<double, 32> doubles{};
  std::array<std::uint64_t, 32> words{};
  run_warp(
      [&] {
        floats[lane()] = __shfl_xor_sync(full, -0.25f * static_cast<float>(lane()), 1);
        doubles[lane()] = __shfl_sync(full, 1e300 * lane(), 31);
        words[lane()] = __shfl_xor_sync(full, std::uint64_t{lane()} << 40, 16);
      },
      GetParam());
  for (unsigned k = 0; k < 32; ++k) {
    EXPECT_EQ(floats[k], -0.25f * static_cast<float>(k ^ 1u));
    EXPECT_EQ(doubles[k], 31e300);
    EXPECT_EQ(words[k], std::uint64_t{k ^ 16u} << 40);
  }
}

TEST_P(EmulatedCuda, ReductionsRespectSignAndMask) {
  std::array<int, 32> largest{}, smallest{};
  std::array<unsigned, 32> largest_unsigned{}, half_sum{};
  run_warp(
      [&] {
        const int me = static_cast<int>(lane()) - 16;
        largest[lane()] = __reduce_max_sync(full, me);
        smallest[lane()] = __reduce_min_sync(full, me);
        largest_unsigned[lane()] = __reduce_max_sync(full, static_cast<unsigned>(me));
        half_sum[lane()] = __reduce_add_sync(lane() < 16 ? 0x0000ffffu : 0xffff0000u, lane());
      },
      GetParam());
  for (int k = 0; k < 32; ++k) {
    EXPECT_EQ(largest[k], 15);
    EXPECT_EQ(smallest[k], -16);
    EXPECT_EQ(largest_unsigned[k], 0xffffffffu);
    EXPECT_EQ(half_sum[k], k < 16 ? 120u : 376u);
  }
}

TEST_P(EmulatedCuda, BarrierMakesSharedMemoryVisible) {
  std::array<int, 32> shared{}, seen{};
  run_warp(
      [&] {
        shared[lane()] = static_cast<int>(lane()) + 1;
        __syncwarp();
        seen[lane()] = shared[31 - lane()];
      },
      GetParam());
  for (int k = 0; k < 32; ++k) EXPECT_EQ(seen[k], 32 - k);
}

TEST(EmulatedCudaOrders, ShowAMissingBarrierAsADifference) {
  const auto seen_by_lane_0 = [](lane_order order) {
    std::array<int, 32> shared{};
    int seen = 0;
    run_warp(
        [&] {
          shared[lane()] = static_cast<int>(lane()) + 1;
          if (lane() == 0) seen = shared[31];
        },
        order);
    return seen;
  };
  EXPECT_NE(seen_by_lane_0(lane_order::ascending), seen_by_lane_0(lane_order::descending));
}

TEST(EmulatedCudaPlace, NumbersThreadsThroughTheBlock) {
  std::vector<unsigned> threads;
  run_warp([&] { threads.push_back(threadIdx.x + blockIdx.x * blockDim.x); }, lane_order::ascending, {2, 1, 4, 3});
  std::vector<unsigned> expected(32);
  std::iota(expected.begin(), expected.end(), 2u * 128u + 32u);
  EXPECT_EQ(threads, expected);
}

TEST(EmulatedCudaCount, CountsCollectives) {
  EXPECT_EQ(run_warp([] {
              for (int k = 0; k < 5; ++k) __syncwarp();
            }),
            5);
}

TEST(EmulatedCudaDeathTest, DiesWhenLanesMeetAtDifferentCollectives) {
  EXPECT_DEATH(run_warp([] {
                 if (lane() == 7) {
                   __any_sync(full, true);
                 } else {
                   __ballot_sync(full, true);
                 }
               }),
               "divergent lanes: lane 0 is at __ballot_sync .* lane 7 at __any_sync");
}

TEST(EmulatedCudaDeathTest, DiesWhenLanesMeetInDifferentLines) {
  const auto two_barriers = [] {
    if (lane() < 16) {
      __syncwarp();
    } else {
      __syncwarp();
    }
  };
  EXPECT_DEATH(run_warp(two_barriers), "divergent lanes: lane 0 is at __syncwarp .* lane 16 at __syncwarp");
}

TEST(EmulatedCudaDeathTest, DiesWhenALaneEndsEarly) {
  EXPECT_DEATH(run_warp([] {
                 if (lane() != 31) __syncwarp();
               }),
               "divergent lanes: lane 0 is at __syncwarp .* lane 31 at the end of the code");
}

TEST(EmulatedCudaDeathTest, DiesWhenALaneIsNotInItsOwnMask) {
  EXPECT_DEATH(run_warp([] { __syncwarp(0x7fffffffu); }), "lane 31 is not in the mask of its own collective");
}

TEST(EmulatedCudaDeathTest, DiesWhenAShuffleReadsOutsideOfTheMask) {
  EXPECT_DEATH(run_warp([] {
                 if (lane() < 16) __shfl_sync(0x0000ffffu, 1, 20);
               }),
               "lane 0 reads from a lane outside of the mask");
}

TEST(EmulatedCudaIntrinsics, CountAndFindBits) {
  EXPECT_EQ(__popc(0xf0f0u), 8);
  EXPECT_EQ(__popcll(0xf000000000000001ull), 5);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1ll << 40), 41);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clzll(0), 64);
  EXPECT_EQ(__clzll(1ll << 40), 23);
  EXPECT_EQ(__clzll(-1), 0);
  EXPECT_EQ(__brev(0x80000001u), 0x80000001u);
  EXPECT_EQ(__brev(1u), 0x80000000u);
}

TEST(EmulatedCudaIntrinsics, CombineHalvesAsNumbersWithASign) {
  EXPECT_EQ(__vmins2(0x00058000u, 0xffff7fffu), 0xffff8000u);
  EXPECT_EQ(__vmaxs2(0x00058000u, 0xffff7fffu), 0x00057fffu);
  EXPECT_EQ(__vadd2(0x0001fff0u, 0xffff0020u), 0x00000010u);
  EXPECT_EQ(__vadd2(0x7ffe8001u, 0x0001ffffu), 0x7fff8000u);
}

TEST(EmulatedCudaIntrinsics, MultiplyHalvesByBytes) {
  EXPECT_EQ(__dp2a_lo(int(0xfffe8000u), 0x7f7f0100, 5), 3);
  EXPECT_EQ(__dp2a_lo(int(0x7fff0003u), 0x00000102, -6), 0x7fff);
  EXPECT_EQ(__dp2a_lo(int(0x0001fffdu), 0x0000ff02, 0), -7);
}

TEST(EmulatedCudaIntrinsics, PermuteBytes) {
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x3210u), 0x33221100u);
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x5410u), 0x55441100u);
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x0067u), 0x00006677u);
}

TEST(EmulatedCudaDeathTest, DiesWhenASumOfHalvesNeedsMoreThan16Bits) {
  EXPECT_DEATH(__vadd2(0x00007fffu, 0x00000001u), "__vadd2: 32768 of 32767 and 1 is beyond 16 bits");
  EXPECT_DEATH(__vadd2(0x80000000u, 0xffff0000u), "__vadd2: -32769 of -32768 and -1 is beyond 16 bits");
}

TEST(EmulatedCudaIntrinsics, ReinterpretBits) {
  EXPECT_EQ(__float_as_int(-0.f), INT32_MIN);
  EXPECT_EQ(__int_as_float(0x3f800000), 1.f);
  EXPECT_EQ(__float_as_uint(-2.f), 0xc0000000u);
  EXPECT_EQ(__uint_as_float(0x7f800000u), INFINITY);
}

TEST(EmulatedCudaIntrinsics, SumsAreRoundedTowardsZero) {
  EXPECT_EQ(__fadd_rz(512.f, 0x1.ffffp-15f), 512.f);
  EXPECT_EQ(__fadd_rz(512.f, 0x1.fffffep-13f), 512.f + 0x1.8p-13f);
  EXPECT_EQ(__fadd_rz(-512.f, -0x1.ffffp-15f), -512.f);
  EXPECT_EQ(__fadd_rz(1.f, 512.f), 513.f);
}

TEST(EmulatedCudaIntrinsics, ApproximateFunctionsHaveTheirValues) {
  EXPECT_FLOAT_EQ(__exp2f(-3.5f), 0.088388346f);
  EXPECT_FLOAT_EQ(__log2f(10.f), 3.3219281f);
  EXPECT_FLOAT_EQ(__fdividef(1.f, 3.f), 0.33333334f);
}

}  // namespace
