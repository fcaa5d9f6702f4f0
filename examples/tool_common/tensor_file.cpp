#include "tensor_file.hpp"

#include <limits>

#include "npy.hpp"
#include "safetensors.hpp"

namespace tool {

input_file::input_file(const std::filesystem::path& path) : path_(path) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::not_found) throw problem("does not exist; check the path");
  if (type != std::filesystem::file_type::regular) throw problem("is not a regular file; give one");
  size_ = std::filesystem::file_size(path, error);
  stream_.open(path, std::ios::binary);
  if (error || !stream_) throw problem("cannot be opened; check its permissions");
}

void input_file::read(std::uint64_t offset, void* data, std::size_t bytes) {
  stream_.seekg(static_cast<std::streamoff>(offset));
  stream_.read(static_cast<char*>(data), static_cast<std::streamsize>(bytes));
  if (!stream_) throw problem("cannot be read to its end; check the disk, and that nothing else writes to the file");
}

failure input_file::problem(const std::string& what) const {
  return failure(exit_code::input, in_quotes(path_.string()) + " " + what);
}

std::vector<tensor_entry> read_header(input_file& file, file_kind kind) {
  if (kind == file_kind::npy) return {read_npy_header(file)};
  return read_safetensors_header(file);
}

std::optional<std::uint64_t> checked_product(const std::vector<std::uint64_t>& shape, std::uint64_t unit) {
  std::uint64_t product = unit;
  for (const std::uint64_t side : shape) {
    if (side != 0 && product > std::numeric_limits<std::uint64_t>::max() / side) return std::nullopt;
    product *= side;
  }
  return product;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::uint64_t side : shape) text += (text.empty() ? "" : " x ") + std::to_string(side);
  return text;
}

matrix read_matrix(input_file& file, const tensor_entry& entry) {
  matrix m;
  m.type = entry.type.value();
  m.rows = static_cast<std::int64_t>(entry.shape.at(0));
  m.cols = static_cast<std::int64_t>(entry.shape.at(1));
  m.data.resize(entry.bytes);
  file.read(entry.offset, m.data.data(), m.data.size());
  return m;
}

std::vector<float> to_floats(matrix& m) {
  std::vector<float> values(static_cast<std::size_t>(m.rows * m.cols));
  visit_weights(m, [&](const auto* weights) {
    for (std::size_t k = 0; k < values.size(); ++k)
      values[k] = static_cast<float>(tsenor::detail::to_arithmetic(weights[k]));
  });
  return values;
}

}  // namespace tool
