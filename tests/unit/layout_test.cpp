// Where results go: packed bits, strides, batches, edges, in place, and nothing beside.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "distributions.hpp"
#include "small_floats.hpp"
#include "solve_fixed.hpp"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr std::uint64_t seed = 31;

// The bit of element (i, j) in packed words of `size` bytes, `stride` words a row.
bool packed_bit(const std::vector<std::uint8_t>& packed, int size, std::int64_t stride, int m, std::int64_t i,
                std::int64_t j) {
  std::uint64_t word = 0;
  std::memcpy(&word, &packed[(i * stride + j / m) * size], size);  // little-endian machines only, as numpy's order
  return word >> (j % m) & 1;
}

int packed_word_size(int m) { return m <= 8 ? 1 : m <= 16 ? 2 : m <= 32 ? 4 : 8; }

class Packed : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(OfM, Packed, testing::Values(2, 3, 4, 7, 8, 9, 10, 16, 17, 24, 32, 33, 48, 63, 64),
                         testing::PrintToStringParamName());

TEST_P(Packed, BitsEqualTheByteMask) {
  const int m = GetParam();
  const std::int64_t rows = 2 * m + 1, cols = 3 * m - 1, words = tiles_along(cols, m);
  const int size = packed_word_size(m);
  const std::vector<float> weights = make_weights(distribution::gaussian, rows, cols, seed);
  std::vector<std::uint8_t> mask(weights.size()), packed(rows * words * size, 0xa5);
  tsenor::mask_outputs<float> out;
  out.mask = mask.data();
  out.packed = packed.data();
  tsenor::options opts;
  opts.edge = tsenor::edge::partial;

  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{2}, {m / 2, m}, {weights.data(), rows, cols}, out, opts).ok());

  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < words * m; ++j) {
      const bool kept = j < cols && mask[i * cols + j] != 0;
      ASSERT_EQ(packed_bit(packed, size, words, m, i, j), kept) << i << ", " << j << " seed " << seed;
    }
    for (std::int64_t k = 0; k < words; ++k) {  // bits beyond M
      std::uint64_t word = 0;
      std::memcpy(&word, &packed[(i * words + k) * size], size);
      if (m < 64) {
        ASSERT_EQ(word >> m, 0u) << "row " << i << " word " << k;
      }
    }
  }
}

TEST(Packed, IsTheSameWithoutTheByteMask) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 32, 32, seed);
  std::vector<std::uint32_t> alone(32), beside(32);
  std::vector<std::uint8_t> mask(weights.size());
  tsenor::mask_outputs<float> one, two;
  one.packed = alone.data();
  two.packed = beside.data();
  two.mask = mask.data();
  const tsenor::matrix_view<const float> view(weights.data(), 32, 32);

  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{1}, {16, 32}, view, one).ok());
  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{1}, {16, 32}, view, two).ok());

  EXPECT_EQ(alone, beside);
}

// A batch of strided matrices with strided outputs, in memory filled with a pattern.
struct strided_call {
  static constexpr std::int64_t rows = 16, cols = 24, batch = 3;
  static constexpr std::int64_t in_row = 29, in_batch = 16 * 29 + 7, mask_row = 31, mask_batch = 16 * 31 + 5;
  static constexpr std::int64_t packed_row = 5, packed_batch = 16 * 5 + 3, pruned_row = 26, pruned_batch = 16 * 26 + 9;
  static constexpr std::int64_t guard = 64, tiles = batch * 2 * 3;
  static constexpr std::uint8_t untouched = 0xa5;

  std::vector<float> weights = make_weights(distribution::gaussian, batch, in_batch, seed);
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(batch * mask_batch + 2 * guard, untouched);
  std::vector<std::uint8_t> packed = std::vector<std::uint8_t>(batch * packed_batch + 2 * guard, untouched);
  std::vector<float> pruned = std::vector<float>(batch * pruned_batch + 2 * guard, -77.0f);
  std::vector<tsenor::tile_report> reports = std::vector<tsenor::tile_report>(tiles + 2, {-7, -7, -7, -7, -7, 7});

  tsenor::matrix_view<const float> view() const { return {weights.data(), rows, cols, in_row, batch, in_batch}; }
  tsenor::status run() {
    tsenor::mask_outputs<float> out;
    out.mask = {mask.data() + guard, mask_row, mask_batch};
    out.packed = {packed.data() + guard, packed_row, packed_batch};
    out.pruned = {pruned.data() + guard, pruned_row, pruned_batch};
    out.reports = reports.data() + 1;
    return find_any<float>(tsenor::cpu_executor{2}, {4, 8}, view(), out);
  }
  // The dense copy of matrix b.
  std::vector<float> matrix(std::int64_t b) const {
    std::vector<float> dense;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* row = &weights[b * in_batch + i * in_row];
      dense.insert(dense.end(), row, row + cols);
    }
    return dense;
  }
};

TEST(Strides, GiveWhatDenseMatricesGive) {
  strided_call s;
  ASSERT_TRUE(s.run().ok());
  for (std::int64_t b = 0; b < s.batch; ++b) {
    const std::vector<float> dense = s.matrix(b);
    const solution expected = solve(pattern{4, 8}, dense, s.rows, s.cols);
    for (std::int64_t i = 0; i < s.rows; ++i) {
      for (std::int64_t j = 0; j < s.cols; ++j) {
        const std::uint8_t kept = expected.mask[i * s.cols + j];
        ASSERT_EQ(s.mask[s.guard + b * s.mask_batch + i * s.mask_row + j], kept);
        ASSERT_EQ(s.packed[s.guard + b * s.packed_batch + i * s.packed_row + j / 8] >> (j % 8) & 1, kept);
        ASSERT_EQ(s.pruned[s.guard + b * s.pruned_batch + i * s.pruned_row + j], kept ? dense[i * s.cols + j] : 0.0f);
      }
    }
    for (int t = 0; t < 6; ++t) EXPECT_EQ(s.reports[1 + b * 6 + t].value, expected.reports[t].value) << "tile " << t;
  }
}

// Whether everything in `buffer` outside of the matrices' own elements is still `untouched`.
template <class T>
bool padding_is_untouched(const std::vector<T>& buffer, T untouched, std::int64_t cols, std::int64_t row_stride,
                          std::int64_t batch_stride) {
  using s = strided_call;
  std::vector<T> rest = buffer;
  for (std::int64_t b = 0; b < s::batch; ++b) {
    for (std::int64_t i = 0; i < s::rows; ++i) {
      const auto row = rest.begin() + s::guard + b * batch_stride + i * row_stride;
      std::fill(row, row + cols, untouched);
    }
  }
  return rest == std::vector<T>(buffer.size(), untouched);
}

TEST(Strides, LeavePaddingAndGuardBandsAlone) {
  strided_call s;
  ASSERT_TRUE(s.run().ok());
  EXPECT_TRUE(padding_is_untouched(s.mask, s.untouched, s.cols, s.mask_row, s.mask_batch));
  EXPECT_TRUE(padding_is_untouched(s.packed, s.untouched, s.cols / 8, s.packed_row, s.packed_batch));
  EXPECT_TRUE(padding_is_untouched(s.pruned, -77.0f, s.cols, s.pruned_row, s.pruned_batch));
  EXPECT_EQ(s.reports.front().value, -7);
  EXPECT_EQ(s.reports.back().value, -7);
  EXPECT_EQ(s.weights, strided_call().weights) << "the input was written";
}

TEST(Pruned, IsTheSameInPlaceAndApart) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 32, 48, seed);
  std::vector<float> in_place = weights, apart(weights.size());
  tsenor::mask_outputs<float> out_in_place, out_apart;
  out_in_place.pruned = in_place.data();
  out_apart.pruned = apart.data();

  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{2}, {8, 16}, {in_place.data(), 32, 48}, out_in_place).ok());
  ASSERT_TRUE(find_any<float>(tsenor::cpu_executor{2}, {8, 16}, {weights.data(), 32, 48}, out_apart).ok());

  EXPECT_EQ(std::memcmp(in_place.data(), apart.data(), apart.size() * sizeof(float)), 0);
}

template <class T>
class PrunedTypes : public testing::Test {};
using weight_types =
    testing::Types<float, double, tsenor::float16, tsenor::bfloat16, tsenor::float8_e4m3, tsenor::float8_e5m2>;
TYPED_TEST_SUITE(PrunedTypes, weight_types);

// All weights negative: a product with the mask would leave -0.0.
TYPED_TEST(PrunedTypes, KeepBitsAndArePositiveZeroElsewhere) {
  std::vector<TypeParam> weights, pruned(32 * 16);
  for (double w : make_weights<double>(distribution::uniform, 32, 16, seed))
    weights.push_back(encoded<TypeParam>(-std::abs(w) - 0.1));
  std::vector<std::uint8_t> mask(weights.size());
  tsenor::mask_outputs<TypeParam> out;
  out.mask = mask.data();
  out.pruned = pruned.data();

  const tsenor::matrix_view<const TypeParam> view(weights.data(), 32, 16);
  ASSERT_TRUE((find_fixed<4, 8>(tsenor::cpu_executor{2}, view, out)).ok());

  const TypeParam zero{};
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const TypeParam& expected = mask[k] ? weights[k] : zero;
    ASSERT_EQ(std::memcmp(&pruned[k], &expected, sizeof(TypeParam)), 0) << "element " << k;
  }
}

TEST(Edge, TilesAreSmallerAndKeepAtMostN) {
  for (const pattern p : {pattern{2, 4}, pattern{3, 7}, pattern{8, 16}, pattern{10, 32}, pattern{32, 64}}) {
    for (const auto& [rows, cols] :
         {std::pair{p.m + 1, 2 * p.m - 1}, {p.m - 1, p.m - 1}, {1, 1}, {2 * p.m, p.m + p.m / 2}, {1, 3 * p.m}}) {
      for (constraint c : both_constraints) {
        tsenor::options opts = published_options(c);
        opts.edge = tsenor::edge::partial;
        const std::vector<float> weights = make_weights(distribution::gaussian, rows, cols, seed);

        const solution s = solve(p, weights, rows, cols, opts);

        EXPECT_FEASIBLE(s.view(), p, c) << rows << " x " << cols << " seed " << seed;
        for (std::size_t t = 0; t < s.reports.size(); ++t) {
          const std::int64_t ti = t / tiles_along(cols, p.m), tj = t % tiles_along(cols, p.m);
          const bool partial = (ti + 1) * p.m > rows || (tj + 1) * p.m > cols;
          EXPECT_EQ((s.reports[t].flags & tsenor::report_partial_tile) != 0, partial) << "tile " << t;
          EXPECT_GE(s.reports[t].bound, s.reports[t].value * (1 - 1e-6)) << "tile " << t;
          EXPECT_GT(s.reports[t].value, 0) << "tile " << t;
        }
      }
    }
  }
}

TEST(Edge, FullTilesAreAsInAMatrixWithoutEdges) {
  const std::vector<float> weights = make_weights(distribution::gaussian, 20, 20, seed);
  std::vector<float> full;
  for (int i = 0; i < 16; ++i) full.insert(full.end(), &weights[i * 20], &weights[i * 20] + 16);
  tsenor::options opts = published_options(constraint::exactly);
  opts.edge = tsenor::edge::partial;

  const solution with_edges = solve(pattern{4, 8}, weights, 20, 20, opts);

  const solution without = solve(pattern{4, 8}, full, 16, 16, opts);
  for (int k = 0; k < 256; ++k) EXPECT_EQ(with_edges.mask[k / 16 * 20 + k % 16], without.mask[k]) << "element " << k;
}

}  // namespace
}  // namespace tsenor_test
