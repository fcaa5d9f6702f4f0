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

template <class T>
struct outcome {
  std::vector<std::uint8_t> mask;
  std::vector<T> pruned;
  std::vector<unsigned char> weights, transposed;
};

// What a block does with its patch, see compress24_kernel.
template <class T, class Values>
void run_patch(const tsenor::detail::problem<T, tsenor::magnitude>& p, const std::uint8_t* given,
               const machine::operands24& to, const Values& values, std::int64_t row, std::int64_t col,
               lane_order order) {
  const std::int64_t rows = p.grid.rows, cols = p.grid.cols;
  machine::patch24_memory<Values> memory;
  std::memset(&memory, poison, sizeof memory);
  const auto for_each_warp = [&](const auto& body) {
    for (unsigned warp = 0; warp < machine::patch24_threads / 32; ++warp)
      run_warp([&] { body(int(threadIdx.x)); }, order, {0, warp});
  };
  for_each_warp([&](int thread) {
    const machine::place24<Values> place(thread);
    const std::int64_t down = row / 4 + place.down, across = col / 4 + place.across;
    const tsenor::detail::tile_position at{0, 4 * down, 4 * across, across, 4, 4, true};
    int replaced = 0;
    const auto kept = given ? machine::read_tile24({given, rows, cols}, at) : machine::solve_tile24(p, at, replaced);
    machine::encode_tile24(values, machine::weights_of<true>(p, at), at, kept, place,
                           to.weights + machine::bytes_of_kept<Values>(row * cols + col),
                           std::uint32_t(machine::bytes_of_kept<Values>(cols)), to, memory);
    machine::store_tile4<true, true>(p, at, down * (cols / 4) + across, machine::mask4{kept, 2, false}, replaced);
  });
  for_each_warp([&](int thread) { machine::store_patch24(thread, row, col, rows, cols, to, memory); });
}

template <class T, class Values = machine::copied24>
outcome<T> run(const std::vector<T>& weights, std::int64_t rows, std::int64_t cols, std::int64_t stride,
               const std::uint8_t* given, lane_order order, const Values& values = {}) {
  const std::vector<unsigned char> room(sparse24::compressed_size(rows, cols, Values::bytes), poison);
  outcome<T> got{std::vector<std::uint8_t>(rows * cols, poison), std::vector<T>(rows * cols), room, room};
  std::memset(static_cast<void*>(got.pruned.data()), poison, got.pruned.size() * sizeof(T));
  tsenor::mask_outputs<T> out;
  out.mask = got.mask.data();
  out.pruned = got.pruned.data();
  auto p = tsenor::detail::make_problem<T>({2, 4}, {weights.data(), rows, cols, stride}, out, {}, tsenor::magnitude{});
  EXPECT_TRUE(tsenor::detail::check_problem(p, {}).ok());
  for (std::int64_t row = 0; row < rows; row += 64)
    for (std::int64_t col = 0; col < cols; col += 64)
      run_patch(p, given, {got.weights.data(), got.transposed.data()}, values, row, col, order);
  return got;
}

template <class T>
void expect_pruned(const outcome<T>& got, const std::vector<T>& weights, std::int64_t rows, std::int64_t cols,
                   std::int64_t stride) {
  for (std::int64_t k = 0; k < rows * cols; ++k) {
    const T expected = got.mask[k] ? weights[k / cols * stride + k % cols] : T{};
    EXPECT_EQ(std::memcmp(&got.pruned[k], &expected, sizeof(T)), 0) << k;
  }
}

void expect_consistent(const outcome<bfloat16>& got, const std::vector<bfloat16>& weights, std::int64_t rows,
                       std::int64_t cols, std::int64_t stride) {
  EXPECT_EQ(got.weights, naive_compressed(weights, got.mask, rows, cols, stride, operand::weights));
  EXPECT_EQ(got.transposed, naive_compressed(weights, got.mask, rows, cols, stride, operand::transposed));
  expect_pruned(got, weights, rows, cols, stride);
}

template <class T = bfloat16>
std::vector<T> weights_of(distribution d, std::int64_t rows, std::int64_t stride) {
  std::vector<T> weights;
  for (const double w : make_weights<double>(d, rows, stride, seed)) weights.push_back(encoded<T>(w));
  return weights;
}

// By scales for each row of W, and one for W^T, and the other way round; where a mask is given, by that.
template <class T>
void expect_cast(const std::vector<T>& weights, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                 const std::uint8_t* given, lane_order order) {
  for (const bool by_row : {false, true}) {
    const auto numbers = random_scales(by_row ? rows : 1, seed), of_cols = random_scales(by_row ? 1 : stride, seed + 1);
    const machine::cast24 values{{{numbers.data(), by_row}, {of_cols.data(), !by_row}}};
    const auto got = run(weights, rows, cols, stride, given, order, values);
    const auto cast = naive_cast(weights, numbers, stride, operand::weights);
    const auto cast_transposed = naive_cast(weights, of_cols, stride, operand::transposed);
    if (given) {
      EXPECT_EQ(got.mask, std::vector<std::uint8_t>(given, given + rows * cols));
    }
    EXPECT_EQ(got.weights, naive_compressed(cast, got.mask, rows, cols, stride, operand::weights));
    EXPECT_EQ(got.transposed, naive_compressed(cast_transposed, got.mask, rows, cols, stride, operand::transposed));
    expect_pruned(got, weights, rows, cols, stride);
  }
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
  const auto got = run(weights, 64, 64, 64, nullptr, lane_order::ascending);
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
  const auto got = run(weights, rows, cols, cols, mask.data(), lane_order::descending);
  EXPECT_EQ(got.mask, mask);
  expect_consistent(got, weights, rows, cols, cols);
}

TEST(EmulatedSparse24, CastsToFloat8WhatTheNaiveEncoderMakesOfItsMask) {
  constexpr std::int64_t rows = 128, cols = 192, stride = 196;
  for (const distribution d : {distribution::gaussian, distribution::ties, distribution::huge})
    for (const lane_order order : both_orders) {
      SCOPED_TRACE(testing::Message() << name_of(d) << ", seed " << seed);
      expect_cast(weights_of(d, rows, stride), rows, cols, stride, nullptr, order);
      expect_cast(weights_of<float>(d, rows, stride), rows, cols, stride, nullptr, order);
    }
}

TEST(EmulatedSparse24, CastsToFloat8WhatAGivenMaskKeeps) {
  constexpr std::int64_t rows = 64, cols = 128;
  const auto weights = random_bits(rows * cols, seed);  // NaN and infinities among them
  expect_cast(weights, rows, cols, cols, random_mask24(rows, cols, seed).data(), lane_order::descending);
}

TEST(EmulatedSparse24, FindsTheSameMaskForFloat8) {
  const auto weights = weights_of(distribution::gaussian, 64, 64);
  const float tiny = 1e-30f;  // all is cast to 0
  const machine::cast24 values{{{&tiny, false}, {&tiny, false}}};
  EXPECT_EQ(run(weights, 64, 64, 64, nullptr, lane_order::ascending, values).mask,
            run(weights, 64, 64, 64, nullptr, lane_order::ascending).mask);
}

}  // namespace
