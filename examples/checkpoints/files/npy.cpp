#include "npy.hpp"

#include <charconv>
#include <string_view>

namespace tool {
namespace {

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::uint64_t max_header = 1 << 16;  // NumPy itself writes some 100 bytes and refuses to read 10,000
constexpr std::size_t alignment = 64;          // of the data, as NumPy aligns it

struct description {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;
};

// Reads the one dict that a header holds: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class dict_parser {
 public:
  explicit dict_parser(std::string_view text) : rest_(text) {}

  // False where the text is not such a dict.
  bool parse(description& d) {
    if (!take('{')) return false;
    while (!take('}')) {
      const auto key = string();
      if (!key || !take(':') || !value(*key, d)) return false;
      if (!take(',') && !next_is('}')) return false;
    }
    skip_space();
    return rest_.empty() && d.descr && d.fortran_order && d.shape;
  }

 private:
  bool value(const std::string& key, description& d) {
    if (key == "descr" && !d.descr) return bool(d.descr = descr());
    if (key == "fortran_order" && !d.fortran_order) return bool(d.fortran_order = boolean());
    if (key == "shape" && !d.shape) return bool(d.shape = tuple());
    return false;
  }

  // A list stands for a structured type; what it says does not matter, as it is refused.
  std::optional<std::string> descr() {
    if (!next_is('[')) return string();
    const std::size_t end = rest_.rfind(']');
    if (end == std::string_view::npos) return std::nullopt;
    rest_.remove_prefix(end + 1);
    return "a structured type";
  }

  std::optional<std::string> string() {
    const char quote = next_is('"') ? '"' : '\'';
    if (!take(quote)) return std::nullopt;
    const std::size_t end = rest_.find(quote);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<bool> boolean() {
    skip_space();
    for (const bool b : {false, true}) {
      const std::string_view word = b ? "True" : "False";
      if (rest_.substr(0, word.size()) != word) continue;
      rest_.remove_prefix(word.size());
      return b;
    }
    return std::nullopt;
  }

  std::optional<std::vector<std::uint64_t>> tuple() {
    std::vector<std::uint64_t> sides;
    if (!take('(')) return std::nullopt;
    while (!take(')')) {
      skip_space();
      std::uint64_t side = 0;
      const auto result = std::from_chars(rest_.data(), rest_.data() + rest_.size(), side);
      if (result.ec != std::errc()) return std::nullopt;
      rest_.remove_prefix(static_cast<std::size_t>(result.ptr - rest_.data()));
      sides.push_back(side);
      if (!take(',') && !next_is(')')) return std::nullopt;
    }
    return sides;
  }

  void skip_space() {
    const std::size_t begin = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
  }
  bool next_is(char c) {
    skip_space();
    return !rest_.empty() && rest_.front() == c;
  }
  bool take(char c) {
    const bool there = next_is(c);
    if (there) rest_.remove_prefix(1);
    return there;
  }

  std::string_view rest_;
};

// The header's text; `end` becomes the offset of the data.
std::string read_header_text(const input_file& file, std::uint64_t& end) {
  unsigned char prefix[12] = {};
  constexpr std::uint64_t shortest = 10;  // magic, version and the two-byte length of version 1
  if (file.size() < shortest) throw file.problem("is too short to be an .npy file; write it again with numpy.save");
  file.read(0, prefix, shortest);
  if (std::string_view(reinterpret_cast<char*>(prefix), magic.size()) != magic)
    throw file.problem("is not an .npy file (it does not begin with \\x93NUMPY); write it with numpy.save");
  const int version = prefix[6];
  if (version < 1 || version > 3)
    throw file.problem("has .npy version " + std::to_string(version) +
                       "; only 1 to 3 are known, write it with numpy.save");
  const std::uint64_t begin = version == 1 ? 10 : 12;
  if (file.size() < begin) throw file.problem("ends within its header; copy or write it again");
  file.read(0, prefix, begin);
  std::uint64_t length = 0;
  for (std::uint64_t i = begin; i > 8; --i) length = length << 8 | prefix[i - 1];
  if (length > file.size() - begin)
    throw file.problem("ends within its header (of " + std::to_string(length) + " bytes); copy or write it again");
  if (length > max_header)
    throw file.problem("has a header of " + std::to_string(length) +
                       " bytes, which no plain array needs; write it with numpy.save");
  std::string text(length, '\0');
  file.read(begin, text.data(), text.size());
  end = begin + length;
  return text;
}

// Empty for a mask.
std::optional<weight_type> type_of(const input_file& file, const std::string& descr) {
  if (descr == "|u1" || descr == "|b1") return std::nullopt;
  if (descr == "<f2") return weight_type::f16;
  if (descr == "<f4") return weight_type::f32;
  if (descr == "<f8") return weight_type::f64;
  if (descr.substr(0, 2) == ">f")
    throw file.problem("is big-endian (" + in_quotes(descr) + "); save array.astype('<f4')");
  throw file.problem(
      "holds " + in_quotes(descr) +
      "; weights have to be little-endian '<f2', '<f4' or '<f8', masks '|u1' or '|b1'; save array.astype('<f4')");
}

}  // namespace

tensor_entry read_npy_header(const input_file& file) {
  tensor_entry entry;
  const std::string text = read_header_text(file, entry.offset);
  description d;
  if (!dict_parser(text).parse(d))
    throw file.problem("has a header that is not a dict of descr, fortran_order and shape; write it with numpy.save");
  entry.type = type_of(file, *d.descr);
  entry.name = file.path().filename().string();
  entry.dtype = *d.descr;
  entry.bits = 8 * static_cast<std::uint64_t>(d.descr->back() - '0');
  entry.shape = *d.shape;
  if (entry.shape.size() > 2)
    throw file.problem("is " + std::to_string(entry.shape.size()) +
                       "-D, but an .npy file holds one matrix; write a batch with safetensors' save_file");
  if (*d.fortran_order && entry.shape.size() > 1)
    throw file.problem("is in Fortran order; save numpy.ascontiguousarray(array)");
  const auto bytes = checked_product(entry.shape, entry.bits / 8);
  const std::uint64_t there = file.size() - entry.offset;
  if (!bytes || *bytes != there)
    throw file.problem("holds " + std::to_string(there) + " bytes of data, but its header says " +
                       shape_text(entry.shape) + " of " + in_quotes(entry.dtype) + "; copy or write it again");
  entry.bytes = *bytes;
  return entry;
}

std::string npy_mask_header(std::int64_t rows, std::int64_t cols) {
  std::string dict = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(cols) + "), }";
  const std::size_t prefix = magic.size() + 4;
  const std::size_t total = (prefix + dict.size() + 1 + alignment - 1) / alignment * alignment;
  dict.resize(total - prefix - 1, ' ');
  dict += '\n';
  std::string header(magic);
  header += {'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  return header + dict;
}

}  // namespace tool
