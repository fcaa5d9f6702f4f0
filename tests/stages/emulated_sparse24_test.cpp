// The kernel that compresses both operands, on the GPU's lanes emulated on the host: a block's warps one after the
// other up to its barrier, and then behind it.
#include "emulated_gpu.hpp"

#include <gtest/gtest.h>

#include "sparse24_case.hpp"
#include "support/brute_force.hpp"
#include "support/distributions.hpp"
#include "support/small_floats.hpp"

namespace {

using namespace tsenor_test;
namespace machine = tsenor::detail::emulated;
namespace sparse24 = tsenor::sparse24;
using sparse24::operand;
using tsenor::bfloat16;

constexpr std::uint64_t seed = 24;
constexpr unsigned char poison = 0xa5;

struct outcome {
  std::vector<std::uint8_t> mask;
  std::vector<bfloat16> pruned;
  std::vector<unsigned char> weights, transposed;
};

using problem = tsenor::detail::problem<bfloat16, tsenor::magnitude>;

// What a block does with its patch, see compress24_kernel.
void run_patch(const problem& p, const std::uint8_t* given, const machine::operands24& to, std::int64_t row,
               std::int64_t col, lane_order order) {
  const std::int64_t rows = p.grid.rows, cols = p.grid.cols;
  machine::patch24_memory memory;
  std::memset(&memory, poison, sizeof memory);
  const auto for_each_warp = [&](const auto& body) {
    for (unsigned warp = 0; warp < machine::patch24_threads / 32; ++warp)
      run_warp([&] { body(int(threadIdx.x)); }, order, {0, warp});
  };
  for_each_warp([&](int thread) {
    const machine::place24 place(thread);
    const std::int64_t down = row / 4 + place.down, across = col / 4 + place.across;
    const tsenor::detail::tile_position at{0, 4 * down, 4 * across, across, 4, 4, true};
    int replaced = 0;
    const auto kept = given ? machine::read_tile24({given, rows, cols}, at) : machine::solve_tile24(p, at, replaced);
    machine::encode_tile24(machine::weights_of<true>(p, at), kept, place, to.weights + (row * cols + col),
                           std::uint32_t(cols), to, memory);
    machine::store_tile4<true, true>(p, at, down * (cols / 4) + across, machine::mask4{kept, 2, false}, replaced);
  });
  for_each_warp([&](int thread) { machine::store_patch24(thread, row, col, rows, cols, to, memory); });
}

outcome run(const std::vector<bfloat16>& weights, std::int64_t rows, std::int64_t cols, std::int64_t stride,
            const std::uint8_t* given, lane_order order) {
  outcome got{std::vector<std::uint8_t>(rows * cols, poison), std::vector<bfloat16>(rows * cols, bfloat16{0xa5a5}),
              std::vector<unsigned char>(sparse24::compressed_size(rows, cols), poison),
              std::vector<unsigned char>(sparse24::compressed_size(rows, cols), poison)};
  tsenor::mask_outputs<bfloat16> out;
  out.mask = got.mask.data();
  out.pruned = got.pruned.data();
  auto p = tsenor::detail::make_problem<bfloat16>({2, 4}, {weights.data(), rows, cols, stride}, out, {},
                                                  tsenor::magnitude{});
  EXPECT_TRUE(tsenor::detail::check_problem(p, {}).ok());
  for (std::int64_t row = 0; row < rows; row += 64)
    for (std::int64_t col = 0; col < cols; col += 64)
      run_patch(p, given, {got.weights.data(), got.transposed.data()}, row, col, order);
  return got;
}

void expect_consistent(const outcome& got, const std::vector<bfloat16>& weights, std::int64_t rows, std::int64_t cols,
                       std::int64_t stride) {
  EXPECT_EQ(got.weights, naive_compressed(weights, got.mask, rows, cols, stride, operand::weights));
  EXPECT_EQ(got.transposed, naive_compressed(weights, got.mask, rows, cols, stride, operand::transposed));
  for (std::int64_t k = 0; k < rows * cols; ++k)
    EXPECT_EQ(got.pruned[k].bits, got.mask[k] ? weights[k / cols * stride + k % cols].bits : 0) << k;
}

std::vector<bfloat16> weights_of(distribution d, std::int64_t rows, std::int64_t stride) {
  std::vector<bfloat16> weights;
  for (const double w : make_weights<double>(d, rows, stride, seed)) weights.push_back(encoded<bfloat16>(w));
  return weights;
}

TEST(EmulatedSparse24, WritesWhatTheNaiveEncoderMakesOfItsMask) {
  constexpr std::int64_t rows = 128, cols = 192, stride = 196;
  for (const distribution d : {distribution::gaussian, distribution::ties, distribution::huge})
    for (const lane_order order : both_orders) {
      SCOPED_TRACE(testing::Message() << name_of(d) << ", seed " << seed);
      const auto weights = weights_of(d, rows, stride);
      expect_consistent(run(weights, rows, cols, stride, nullptr, order), weights, rows, cols, stride);
    }
}

TEST(EmulatedSparse24, FindsTheBestMaskOfEachTile) {
  const auto weights = weights_of(distribution::gaussian, 64, 64);
  const outcome got = run(weights, 64, 64, 64, nullptr, lane_order::ascending);
  const brute_force reference({2, 4}, tsenor::constraint::exactly);
  for (int tile = 0; tile < 256; ++tile) {
    double importance[16], value = 0;
    for (int k = 0; k < 16; ++k) {
      const int at = (tile / 16 * 4 + k / 4) * 64 + tile % 16 * 4 + k % 4;
      importance[k] = std::abs(decoded(weights[at]));
      value += got.mask[at] ? importance[k] : 0;
    }
    const double best = reference.optimum(importance);
    EXPECT_NEAR(value, best, 1e-6 * best) << tile;
  }
}

TEST(EmulatedSparse24, KeepsWhatAGivenMaskKeeps) {
  constexpr std::int64_t rows = 64, cols = 128;
  const auto weights = random_bits(rows * cols, seed);  // NaN and infinities among them
  const auto mask = random_mask24(rows, cols, seed);
  const outcome got = run(weights, rows, cols, cols, mask.data(), lane_order::descending);
  EXPECT_EQ(got.mask, mask);
  expect_consistent(got, weights, rows, cols, cols);
}

}  // namespace
