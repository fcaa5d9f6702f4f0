/// \file
/// Reads the .npy files of the golden set: version 1.0, little-endian, C order. A test fixture, not a general reader.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace tsenor_test {

template <class T>
struct npy_array {
  std::vector<std::int64_t> shape;
  std::vector<T> data;
};

/// The text after `key` in a .npy header, up to `end`.
inline std::string npy_field(const std::string& header, const std::string& key, char end) {
  const std::size_t at = header.find(key);
  if (at == std::string::npos) throw std::runtime_error("npy header without " + key);
  const std::size_t begin = at + key.size();
  return header.substr(begin, header.find(end, begin) - begin);
}

/// `T` is float or double and must be the file's own type. Throws std::runtime_error for any other file.
template <class T>
npy_array<T> read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  unsigned char start[10] = {};
  file.read(reinterpret_cast<char*>(start), sizeof start);
  if (!file || start[0] != 0x93 || start[6] != 1) throw std::runtime_error("no npy 1.0 file: " + path);
  std::string header(start[8] + 256u * start[9], ' ');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));

  const std::string type = sizeof(T) == 4 ? "<f4" : "<f8";
  if (header.find("'" + type + "'") == std::string::npos) throw std::runtime_error("not " + type + ": " + path);
  if (header.find("'fortran_order': False") == std::string::npos) throw std::runtime_error("not C order: " + path);

  npy_array<T> result;
  std::istringstream shape(npy_field(header, "'shape': (", ')'));
  std::int64_t count = 1;
  for (std::string size; std::getline(shape, size, ',');) {
    if (size.find_first_of("0123456789") == std::string::npos) continue;  // after the comma of a 1-tuple
    result.shape.push_back(std::stoll(size));
    count *= result.shape.back();
  }
  result.data.resize(static_cast<std::size_t>(count));
  file.read(reinterpret_cast<char*>(result.data.data()), static_cast<std::streamsize>(count * sizeof(T)));
  if (!file) throw std::runtime_error("truncated: " + path);
  return result;
}

}  // namespace tsenor_test
