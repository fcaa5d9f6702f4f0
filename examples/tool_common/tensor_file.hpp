/// \file
/// What is known of an input file after its header has been read and checked, the same for both formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "failure.hpp"
#include "tsenor/weight_types.hpp"

namespace tool {

/// Formats, told by the ending of a file's name.
enum class file_kind { npy, safetensors };

/// The types of weights that the tools prune.
enum class weight_type { f16, bf16, f32, f64 };

/// One tensor of a file. Its data are known to lie inside the file and to have the size that shape and dtype say.
struct tensor_entry {
  std::string name;
  std::string dtype;                ///< as the file calls it
  std::optional<weight_type> type;  ///< empty: not a type of weights
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0;  ///< of the data, from the beginning of the file
  std::uint64_t bytes = 0;
};

/// A file that is only read. Every error is a failure(exit_code::input) that names the file.
class input_file {
 public:
  explicit input_file(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  /// Reads `bytes` bytes from `offset`, all of them or it throws.
  void read(std::uint64_t offset, void* data, std::size_t bytes);

  /// A failure about the contents of this file: its name, then `what`.
  [[nodiscard]] failure problem(const std::string& what) const;

 private:
  std::filesystem::path path_;
  std::uint64_t size_ = 0;
  std::ifstream stream_;
};

/// Reads and checks the header, nothing else. The order of the entries is that of their names.
std::vector<tensor_entry> read_header(input_file& file, file_kind kind);

/// The product of `shape` times `unit`, or nothing where it exceeds 64 bits.
std::optional<std::uint64_t> checked_product(const std::vector<std::uint64_t>& shape, std::uint64_t unit);

/// "3 x 4"; "scalar" without dimensions.
std::string shape_text(const std::vector<std::uint64_t>& shape);

/// A matrix in memory, row-major and dense.
struct matrix {
  weight_type type = weight_type::f32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<std::byte> data;
};

/// Reads the data of a 2-D entry that has a weight type.
matrix read_matrix(input_file& file, const tensor_entry& entry);

/// Calls `visitor` with a pointer to the weights in their own type.
template <class Visitor>
auto visit_weights(matrix& m, Visitor&& visitor) {
  switch (m.type) {
    case weight_type::f16:
      return visitor(reinterpret_cast<tsenor::float16*>(m.data.data()));
    case weight_type::bf16:
      return visitor(reinterpret_cast<tsenor::bfloat16*>(m.data.data()));
    case weight_type::f32:
      return visitor(reinterpret_cast<float*>(m.data.data()));
    case weight_type::f64:
      break;
  }
  return visitor(reinterpret_cast<double*>(m.data.data()));
}

/// The weights, those of 64 bits rounded.
std::vector<float> to_floats(matrix& m);

}  // namespace tool
