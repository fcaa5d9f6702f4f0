/// \file
/// The compressed form of a 2:4 sparse matrix of a 16-bit type, or of float8 (E4M3), as cuSPARSELt 0.8 wants it on
/// compute capability 9.0, and an encoder in plain C++.
///
/// A matrix `[rows, cols]` keeps two values in every group of four columns. Its compressed form has the kept values,
/// row-major `[rows, cols / 2]`, and after them the metadata: for each row and group a nibble with the two kept columns
/// of the group, the first one in the low two bits. The order of the nibbles was found by probing the vendor's compress
/// with random patterns. It is not documented, and not that of compute capability 8.0. So compare with the vendor's
/// compress before you rely on it, as linear24 does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tsenor/detail/config.hpp"
#include "tsenor/detail/types.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor {
namespace sparse24 {

/// Metadata comes in bands of 64 rows, and these in tiles of 8 groups (32 columns); for values of a byte see
/// metadata_byte().
inline constexpr int band_rows = 64;
inline constexpr int tile_groups = 8;
inline constexpr int tile_bytes = band_rows * tile_groups / 2;

/// Rows and columns must be multiples of it, so that the matrix and its transpose both fall into whole bands.
inline constexpr int granularity = 64;

/// Bytes of the kept values, of so many bytes each, and of all: half a byte more for each group. For `[cols, rows]`,
/// the transpose, they are the same.
constexpr std::size_t values_size(std::int64_t rows, std::int64_t cols, int value_bytes = 2) {
  return std::size_t(rows) * std::size_t(cols) / 2 * std::size_t(value_bytes);
}
constexpr std::size_t compressed_size(std::int64_t rows, std::int64_t cols, int value_bytes = 2) {
  return values_size(rows, cols, value_bytes) + values_size(rows, cols, 1) / 4;
}

/// Byte of a metadata tile that holds the nibble of a row and a group of the tile. Its address is, from bit 0 up: group
/// bit 2, group bits 0 and 1, row bits 0 to 2, row bits 4 and 5.
TSENOR_HOST_DEVICE constexpr int byte_in_tile(int row, int group) {
  return (group >> 2) | (group & 3) << 1 | (row & 7) << 3 | (row >> 4) << 6;
}
/// Byte of the metadata, from its begin, that holds the nibble of a row and a group, in a matrix with so many groups a
/// row. With values of one byte it is the same with two groups for one: where 16-bit values have a nibble, they have
/// two.
template <int ValueBytes = 2>
TSENOR_HOST_DEVICE constexpr std::int64_t metadata_byte(std::int64_t row, std::int64_t group, std::int64_t groups) {
  if (ValueBytes == 1) return 2 * metadata_byte<2>(row, group / 2, groups / 2) + (row >> 3 & 1);
  const std::int64_t tile = row / band_rows * (groups / tile_groups) + group / tile_groups;
  return tile * tile_bytes + byte_in_tile(int(row % band_rows), int(group % tile_groups));
}
/// Which half of that byte: row bit 3 says it, or, with values of one byte, group bit 0.
template <int ValueBytes = 2>
TSENOR_HOST_DEVICE constexpr int metadata_shift(std::int64_t row, std::int64_t group) {
  return int(ValueBytes == 1 ? group & 1 : row >> 3 & 1) * 4;
}

/// not_divisible unless a matrix and its transpose both have a compressed form here.
constexpr status check_granularity(std::int64_t rows, std::int64_t cols) {
  if (rows % granularity == 0 && cols % granularity == 0) return {};
  return {status_code::not_divisible,
          "the compressed 2:4 form needs rows and cols that are multiples of 64: pad the matrix, or use the vendor's "
          "compress",
          rows % granularity != 0 ? rows : cols, granularity};
}

/// Where compressed operands go: compressed_size(rows, cols) bytes of device memory each, for float8
/// compressed_size(rows, cols, 1), at an address that is a multiple of 16. Null: not wanted.
struct operands {
  void* weights = nullptr;     ///< of W
  void* transposed = nullptr;  ///< of W^T
};

/// Which of the two operands of a weight matrix.
enum class operand {
  weights,    ///< W, for products with W^T: the forward pass
  transposed  ///< W^T, for products with W: the input gradient
};

/// What weights are multiplied by before they are rounded to float8: one number for all, or one for each row of the
/// operand.
struct scale {
  const float* data = nullptr;
  bool by_row = false;
};
/// Of both operands. The rows of W^T are the columns of W.
struct scales {
  scale weights, transposed;
};

namespace detail {

/// A view of W, or of W^T in the memory of W.
template <class T>
struct strided {
  const T* data;
  std::int64_t rows, cols, row_stride, col_stride;
  const T& at(std::int64_t row, std::int64_t col) const { return data[row * row_stride + col * col_stride]; }
};

template <class T>
strided<T> oriented(const matrix_view<const T>& v, operand which) {
  if (which == operand::weights) return {v.data, v.rows, v.cols, v.row_stride, 1};
  return {v.data, v.cols, v.rows, 1, v.row_stride};
}

/// The two kept columns of a group, the first in the low two bits; -1 if there are not two.
inline int kept_pair(const strided<std::uint8_t>& mask, std::int64_t row, std::int64_t group) {
  int kept = 0, pair = 0;
  for (int k = 0; k < 4; ++k) {
    if (mask.at(row, 4 * group + k) == 0) continue;
    if (kept < 2) pair |= k << 2 * kept;
    ++kept;
  }
  return kept == 2 ? pair : -1;
}

template <class T>
status check_compress(const matrix_view<const T>& weights, const matrix_view<const std::uint8_t>& mask, operand which,
                      const void* compressed, int value_bytes) {
  using namespace tsenor::detail;
  if (which != operand::weights && which != operand::transposed)
    return {status_code::invalid_option, "unknown sparse24::operand", int(which)};
  status s = check_view(weights.data, sizeof(T), alignof(T), weights.rows, weights.cols, weights.row_stride, 1, 0,
                        "the weights are null or not aligned to their type: give a pointer to them");
  if (s.ok())
    s = check_view(mask.data, 1, 1, mask.rows, mask.cols, mask.row_stride, 1, 0,
                   "the mask is null: give a pointer to a byte for each weight");
  if (s.ok()) s = check_granularity(weights.rows, weights.cols);
  if (!s.ok()) return s;
  if (weights.batch != 1 || mask.batch != 1)
    return {status_code::invalid_shape, "one matrix at a time, not a batch",
            weights.batch != 1 ? weights.batch : mask.batch, 1};
  s = check_same_shape(mask.rows, mask.cols, 1, weights.rows, weights.cols, 1,
                       "mask and weights must have the same shape");
  if (!s.ok()) return s;
  if (compressed == nullptr && weights.rows * weights.cols > 0)
    return {status_code::invalid_pointer, "the compressed form has a null pointer: give compressed_size() bytes"};
  const byte_range to = bytes_of(compressed, 1, std::int64_t(compressed_size(weights.rows, weights.cols, value_bytes)));
  const byte_range from[] = {
      bytes_of(weights.data, sizeof(T), extent(weights.rows, weights.cols, weights.row_stride, 1, 0)),
      bytes_of(mask.data, 1, extent(mask.rows, mask.cols, mask.row_stride, 1, 0))};
  if (overlap(to, from[0]) || overlap(to, from[1]))
    return {status_code::overlapping_buffers, "the compressed form shares memory with the weights or the mask"};
  return {};
}

// The numbers that an operand of so many rows is multiplied by, and its compressed form of so many bytes.
inline status check_scale(const scale& by, std::int64_t rows, const void* compressed, std::size_t size) {
  using namespace tsenor::detail;
  const status s = check_pointer(
      by.data, alignof(float),
      "the scale of an operand is null or not aligned: give one number, or one for each row of the operand");
  if (!s.ok()) return s;
  if (buffers_overlap(compressed, 1, std::int64_t(size), by.data, sizeof(float), by.by_row ? rows : 1))
    return {status_code::overlapping_buffers, "the compressed form shares memory with the scale"};
  return {};
}

inline status check_pairs(const strided<std::uint8_t>& mask) {
  for (std::int64_t r = 0; r < mask.rows; ++r)
    for (std::int64_t g = 0; g < mask.cols / 4; ++g)
      if (kept_pair(mask, r, g) < 0)
        return {status_code::invalid_option, "the mask does not keep exactly two in each group of four", r, 2};
  return {};
}

// value(row, col) is stored.
template <class Value>
void encode(const strided<std::uint8_t>& mask, const Value& value, unsigned char* values) {
  using stored = decltype(value(0, 0));
  constexpr int bytes = sizeof(stored);
  const std::int64_t groups = mask.cols / 4;
  unsigned char* metadata = values + values_size(mask.rows, mask.cols, bytes);
  std::memset(metadata, 0, std::size_t(mask.rows * groups) / 2);
  for (std::int64_t r = 0; r < mask.rows; ++r)
    for (std::int64_t g = 0; g < groups; ++g) {
      const int pair = kept_pair(mask, r, g);
      for (int k = 0; k < 2; ++k) {
        const stored x = value(r, 4 * g + (pair >> 2 * k & 3));
        std::memcpy(values + ((r * groups + g) * 2 + k) * bytes, &x, bytes);
      }
      metadata[metadata_byte<bytes>(r, g, groups)] |= static_cast<unsigned char>(pair << metadata_shift<bytes>(r, g));
    }
}

// Of a checked call; the mask is checked here.
template <class T, class Value>
status compress(const matrix_view<const T>& weights, const matrix_view<const std::uint8_t>& mask, operand which,
                void* compressed, const Value& value) {
  const auto kept = oriented(mask, which);
  if (const status s = check_pairs(kept); !s || weights.rows * weights.cols == 0) return s;
  const auto w = oriented(weights, which);
  encode(
      kept, [&](std::int64_t r, std::int64_t c) { return value(w.at(r, c), r); },
      static_cast<unsigned char*>(compressed));
  return {};
}

}  // namespace detail

/// Compresses the weights that a mask keeps of a matrix, or of its transpose, on the CPU.
///
/// \tparam T         a 16-bit type, or float8_e4m3; values are copied bit for bit
/// \param weights    `[rows, cols]`, multiples of 64; one matrix, not a batch
/// \param mask       bytes of the same shape, 0 or not 0; two in each group of four columns of a row, or, for the
///                   transpose, in each group of four rows of a column. A transposable 2:4 mask has both
/// \param which      W or W^T
/// \param compressed compressed_size(rows, cols, sizeof(T)) bytes, disjoint from the inputs
/// \return an error, and then nothing was written: invalid_shape, not_divisible, invalid_pointer, overlapping_buffers,
///         and invalid_option for an unknown `which`, or (with the row of W or W^T in `observed()`) for a group without
///         exactly two kept
///
/// Deterministic. One thread, one pass. It is for tests and for files; on the GPU use compress.cuh.
template <class T>
status compress(matrix_view<const T> weights, matrix_view<const std::uint8_t> mask, operand which, void* compressed) {
  static_assert(sizeof(T) <= 2, "tsenor: the compressed 2:4 form here is for 16- and 8-bit types");
  if (const status s = detail::check_compress(weights, mask, which, compressed, sizeof(T)); !s) return s;
  return detail::compress(weights, mask, which, compressed, [](const T& w, std::int64_t) { return w; });
}

/// The same cast to E4M3: to_e4m3(weight * scale), the product a float.
///
/// \tparam T         float, or a 16- or 8-bit type of weight_types.hpp
/// \param by         what to multiply by: one number, or one for each row of what is compressed, W or W^T
/// \param compressed compressed_size(rows, cols, 1) bytes, disjoint from the inputs and the scale
/// \return as above, and invalid_pointer for a scale that is null or misaligned
template <class T>
status compress(matrix_view<const T> weights, matrix_view<const std::uint8_t> mask, operand which, scale by,
                void* compressed) {
  constexpr bool fits = tsenor::detail::is_weight<T> && sizeof(T) <= sizeof(float);
  static_assert(fits, "tsenor: weights to be cast to float8 are float, or a 16- or 8-bit type of weight_types.hpp");
  if constexpr (fits) {
    if (const status s = detail::check_compress(weights, mask, which, compressed, 1); !s) return s;
    const std::int64_t rows = weights.rows, cols = weights.cols;
    if (rows == 0 || cols == 0) return {};
    const status s =
        detail::check_scale(by, which == operand::weights ? rows : cols, compressed, compressed_size(rows, cols, 1));
    if (!s.ok()) return s;
    return detail::compress(tsenor::detail::stored(weights), mask, which, compressed,
                            [&](const auto& w, std::int64_t row) {
                              return to_e4m3(tsenor::detail::to_arithmetic(w) * by.data[by.by_row ? row : 0]);
                            });
  } else {
    return {};
  }
}

/// The dense matrix `[rows, cols]`, zeros where nothing is kept, of a compressed one: the way back, on the CPU.
///
/// \tparam T  a 16-bit type whose zero has no bit set; values are copied bit for bit
/// \return not_divisible for sizes that have no compressed form, invalid_pointer, overlapping_buffers; then nothing was
///         written. One pass
template <class T>
status decompress(const void* compressed, std::int64_t rows, std::int64_t cols, T* dense) {
  static_assert(sizeof(T) == 2, "tsenor: the compressed 2:4 form here is for 16-bit types");
  status s = tsenor::detail::check_view(dense, sizeof(T), alignof(T), rows, cols, cols, 1, 0,
                                        "the dense matrix is null or not aligned to its type: give it a buffer");
  if (s.ok()) s = check_granularity(rows, cols);
  if (!s.ok() || rows * cols == 0) return s;
  if (compressed == nullptr) return {status_code::invalid_pointer, "the compressed form has a null pointer"};
  if (tsenor::detail::buffers_overlap(compressed, 1, std::int64_t(compressed_size(rows, cols)), dense, sizeof(T),
                                      rows * cols))
    return {status_code::overlapping_buffers, "the dense matrix shares memory with the compressed form"};
  const auto* values = static_cast<const unsigned char*>(compressed);
  const unsigned char* metadata = values + values_size(rows, cols);
  std::memset(static_cast<void*>(dense), 0, std::size_t(rows * cols) * sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t g = 0; g < cols / 4; ++g) {
      const int pair = metadata[metadata_byte(r, g, cols / 4)] >> metadata_shift(r, g);
      for (int k = 0; k < 2; ++k, values += sizeof(T))
        std::memcpy(dense + r * cols + 4 * g + (pair >> 2 * k & 3), values, sizeof(T));
    }
  return {};
}

}  // namespace sparse24
}  // namespace tsenor
