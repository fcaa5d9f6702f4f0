/// \file
/// Weights of a 16-bit type and 2:4 transposable masks of them, and what their compressed operands are: an encoder that
/// asks for each bit of the metadata what it stands for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tsenor/sparse24/layout.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor_test {

/// A transposable mask of random tiles: columns and rows of a checkerboard in random order.
inline std::vector<std::uint8_t> random_mask24(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<std::uint8_t> mask(rows * cols);
  for (std::int64_t i = 0; i < rows; i += 4)
    for (std::int64_t j = 0; j < cols; j += 4) {
      int row[] = {0, 1, 2, 3}, col[] = {0, 1, 2, 3};
      std::shuffle(row, row + 4, bits);
      std::shuffle(col, col + 4, bits);
      const bool blocks = bits() % 2 != 0;  // two blocks of 2x2, or a ring
      for (int k = 0; k < 16; ++k) {
        const int r = row[k / 4], c = col[k % 4];
        mask[(i + k / 4) * cols + j + k % 4] = blocks ? r / 2 == c / 2 : c == r || c == (r + 1) % 4;
      }
    }
  return mask;
}

inline std::vector<tsenor::bfloat16> random_bits(std::int64_t elements, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<tsenor::bfloat16> weights(elements);
  for (auto& w : weights) w.bits = static_cast<std::uint16_t>(bits());
  return weights;
}

/// Of a dense matrix `[rows, cols]` whose elements are at(row, col): kept ones where keeps(row, col).
template <class At, class Keeps>
std::vector<unsigned char> naive_compressed(std::int64_t rows, std::int64_t cols, const At& at, const Keeps& keeps) {
  std::vector<unsigned char> bytes;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      if (!keeps(r, c)) continue;
      bytes.push_back(static_cast<unsigned char>(at(r, c) & 0xff));
      bytes.push_back(static_cast<unsigned char>(at(r, c) >> 8));
    }
  const std::size_t values = bytes.size();
  bytes.resize(values + values / 8);
  for (std::int64_t bit = 0; bit < std::int64_t(values); ++bit) {  // as many bits as the values have bytes
    const std::int64_t tile = bit / 2048, tiles_across = cols / 32;
    const auto address = [&](int k) { return bit >> k & 1; };
    const std::int64_t row = tile / tiles_across * 64 + address(2) * 8 + address(6) + address(7) * 2 + address(8) * 4 +
                             address(9) * 16 + address(10) * 32;
    const std::int64_t group = tile % tiles_across * 8 + address(3) * 4 + address(4) + address(5) * 2;
    std::vector<int> kept;
    for (int k = 0; k < 4; ++k)
      if (keeps(row, 4 * group + k)) kept.push_back(k);
    const int nibble = kept.at(0) + kept.at(1) * 4;
    if (nibble >> bit % 4 & 1) bytes[values + bit / 8] |= 1 << bit % 8;
  }
  return bytes;
}

/// The naive form of W or of W^T, for a matrix with `stride` elements from a row to the next.
template <class T>
std::vector<unsigned char> naive_compressed(const std::vector<T>& weights, const std::vector<std::uint8_t>& mask,
                                            std::int64_t rows, std::int64_t cols, std::int64_t stride,
                                            tsenor::sparse24::operand which) {
  const auto at = [&](std::int64_t r, std::int64_t c) { return int{weights[r * stride + c].bits}; };
  const auto keeps = [&](std::int64_t r, std::int64_t c) { return mask[r * cols + c] != 0; };
  if (which == tsenor::sparse24::operand::weights) return naive_compressed(rows, cols, at, keeps);
  return naive_compressed(
      cols, rows, [&](std::int64_t r, std::int64_t c) { return at(c, r); },
      [&](std::int64_t r, std::int64_t c) { return keeps(c, r); });
}

}  // namespace tsenor_test
