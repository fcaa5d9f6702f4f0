/// \file
/// Tensors of a file, the same for all formats, and matrices in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "input_file.hpp"
#include "tsenor/weight_types.hpp"

namespace tool {

/// The types of weights that can be pruned.
enum class weight_type { f8_e4m3, f8_e5m2, f16, bf16, f32, f64 };

/// One tensor of a file. Its data are known to lie inside the file and to have the size that shape and dtype say.
struct tensor_entry {
  std::string name;
  std::string dtype;                ///< as the file calls it
  std::optional<weight_type> type;  ///< empty: not a type of weights
  std::uint64_t bits = 0;           ///< of an element; 0: a dtype that is not known
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0;  ///< of the data, from the beginning of the file
  std::uint64_t bytes = 0;
  std::size_t file = 0;  ///< which of its checkpoint's files holds it

  /// Bytes that are 0 or 1.
  bool is_mask() const { return dtype == "BOOL" || dtype == "U8" || dtype == "|b1" || dtype == "|u1"; }
  /// The last two dimensions, of a tensor that has them.
  std::int64_t rows() const { return static_cast<std::int64_t>(shape.at(shape.size() - 2)); }
  std::int64_t cols() const { return static_cast<std::int64_t>(shape.back()); }
};

/// The product of `shape` times `unit`, or nothing where it exceeds 64 bits.
std::optional<std::uint64_t> checked_product(const std::vector<std::uint64_t>& shape, std::uint64_t unit);

/// "3 x 4"; "scalar" without dimensions.
std::string shape_text(const std::vector<std::uint64_t>& shape);

/// A part of a tensor: some rows of one of its matrices, which are its last two dimensions.
struct block {
  std::uint64_t offset = 0;  ///< of its first element, in elements from the beginning of the tensor
  std::int64_t rows = 0, cols = 0;

  std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols); }
};

/// Blocks are as large as this, in elements, unless M rows are larger. It bounds the memory that a run takes.
constexpr std::int64_t largest_block = std::int64_t(1) << 24;

/// The tensor, of two or three dimensions, cut between tiles of `m` rows into blocks of about `limit` elements.
std::vector<block> blocks_of(const tensor_entry& tensor, int m, std::int64_t limit = largest_block);

/// The matrices of the tensor, whole.
std::vector<block> matrices_of(const tensor_entry& tensor);

/// A matrix in memory, row-major and dense.
struct matrix {
  weight_type type = weight_type::f32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<std::byte> data;
};

/// Reads the data of a block of a tensor.
std::vector<std::byte> read_bytes(const input_file& file, const tensor_entry& entry, const block& part);

/// The same of a tensor that has a weight type.
matrix read_matrix(const input_file& file, const tensor_entry& entry, const block& part);

/// Calls `visitor` with a pointer to the weights in their own type.
template <class Visitor>
auto visit_weights(const matrix& m, Visitor&& visitor) {
  const std::byte* const data = m.data.data();
  switch (m.type) {
    case weight_type::f8_e4m3:
      return visitor(reinterpret_cast<const tsenor::float8_e4m3*>(data));
    case weight_type::f8_e5m2:
      return visitor(reinterpret_cast<const tsenor::float8_e5m2*>(data));
    case weight_type::f16:
      return visitor(reinterpret_cast<const tsenor::float16*>(data));
    case weight_type::bf16:
      return visitor(reinterpret_cast<const tsenor::bfloat16*>(data));
    case weight_type::f32:
      return visitor(reinterpret_cast<const float*>(data));
    case weight_type::f64:
      break;
  }
  return visitor(reinterpret_cast<const double*>(data));
}

}  // namespace tool
