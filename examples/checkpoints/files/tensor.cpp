#include "tensor.hpp"

#include <algorithm>
#include <limits>

namespace tool {

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

std::vector<block> blocks_of(const tensor_entry& tensor, int m, std::int64_t limit) {
  const std::int64_t rows = tensor.rows(), cols = tensor.cols();
  const std::int64_t matrices = tensor.shape.size() == 3 ? static_cast<std::int64_t>(tensor.shape[0]) : 1;
  const std::int64_t tiles = std::max<std::int64_t>(1, limit / std::max<std::int64_t>(1, cols) / m);
  std::vector<block> parts;
  if (rows == 0 || cols == 0) return parts;
  for (std::int64_t k = 0; k < matrices; ++k)
    for (std::int64_t first = 0; first < rows; first += tiles * m)
      parts.push_back({static_cast<std::uint64_t>((k * rows + first) * cols), std::min(tiles * m, rows - first), cols});
  return parts;
}

std::vector<block> matrices_of(const tensor_entry& tensor) {
  return blocks_of(tensor, 1, std::numeric_limits<std::int64_t>::max());
}

std::vector<std::byte> read_bytes(const input_file& file, const tensor_entry& entry, const block& part) {
  const std::uint64_t unit = entry.bits / 8;
  std::vector<std::byte> data(part.size() * unit);
  file.read(entry.offset + part.offset * unit, data.data(), data.size());
  return data;
}

matrix read_matrix(const input_file& file, const tensor_entry& entry, const block& part) {
  return {entry.type.value(), part.rows, part.cols, read_bytes(file, entry, part)};
}

}  // namespace tool
