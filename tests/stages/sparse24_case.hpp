/// \file
/// Weights and 2:4 transposable masks of them, and what their compressed operands of 16 or 8 bits are: an encoder that
/// asks for each bit of the metadata what it stands for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "support/small_floats.hpp"
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

/// Scales from 2^-3 to 2^3.
inline std::vector<float> random_scales(std::int64_t numbers, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<float> scales(numbers);
  for (float& s : scales) s = std::ldexp(1 + float(bits() >> 40) / (1 << 24), int(bits() % 6) - 3);
  return scales;
}

/// The row and the group that a nibble of the metadata is of, in a matrix with so many columns.
struct nibble_place {
  std::int64_t row, group;
  nibble_place(std::int64_t nibble, std::int64_t cols, int value_bytes) {
    const auto address = [&](int k) { return nibble >> k & 1; };
    if (value_bytes == 2) {
      const std::int64_t tile = nibble / 512, across = cols / 32;
      row = tile / across * 64 + address(0) * 8 + address(4) + address(5) * 2 + address(6) * 4 + address(7) * 16 +
            address(8) * 32;
      group = tile % across * 8 + address(1) * 4 + address(2) + address(3) * 2;
    } else {
      const std::int64_t tile = nibble / 1024, across = cols / 64;
      row = tile / across * 64 + address(1) * 8 + address(5) + address(6) * 2 + address(7) * 4 + address(8) * 16 +
            address(9) * 32;
      group = tile % across * 16 + address(0) + address(2) * 8 + address(3) * 2 + address(4) * 4;
    }
  }
};

/// Of a dense matrix `[rows, cols]` whose elements' bits are at(row, col): kept ones where keeps(row, col).
template <class At, class Keeps>
std::vector<unsigned char> naive_compressed(std::int64_t rows, std::int64_t cols, int value_bytes, const At& at,
                                            const Keeps& keeps) {
  std::vector<unsigned char> bytes;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      if (!keeps(r, c)) continue;
      for (int k = 0; k < value_bytes; ++k) bytes.push_back(static_cast<unsigned char>(at(r, c) >> 8 * k & 0xff));
    }
  const std::size_t values = bytes.size();
  bytes.resize(values + rows * cols / 8);
  for (std::int64_t bit = 0; bit < rows * cols; ++bit) {
    const nibble_place of(bit / 4, cols, value_bytes);
    std::vector<int> kept;
    for (int k = 0; k < 4; ++k)
      if (keeps(of.row, 4 * of.group + k)) kept.push_back(k);
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
  if (which == tsenor::sparse24::operand::weights) return naive_compressed(rows, cols, sizeof(T), at, keeps);
  return naive_compressed(
      cols, rows, sizeof(T), [&](std::int64_t r, std::int64_t c) { return at(c, r); },
      [&](std::int64_t r, std::int64_t c) { return keeps(c, r); });
}

/// Weights times scales[row] or, for the transpose, scales[col], or the one number that there is, in E4M3.
template <class T>
std::vector<tsenor::float8_e4m3> naive_cast(const std::vector<T>& weights, const std::vector<float>& scales,
                                            std::int64_t stride, tsenor::sparse24::operand which) {
  std::vector<tsenor::float8_e4m3> cast;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const std::size_t line = which == tsenor::sparse24::operand::weights ? k / stride : k % stride;
    const float scale = scales[scales.size() == 1 ? 0 : line];
    const float product = static_cast<float>(decoded(weights[k])) * scale;
    const auto magnitude = encoded<tsenor::float8_e4m3>(std::abs(product));
    const int bits = std::isnan(product) ? 0x7f : (magnitude.bits & 0x7f) | (std::signbit(product) ? 0x80 : 0);
    cast.push_back({static_cast<std::uint8_t>(bits)});
  }
  return cast;
}

}  // namespace tsenor_test
