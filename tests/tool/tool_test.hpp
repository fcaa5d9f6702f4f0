// Runs the program (TSENOR_TOOL_PROGRAM) on files in a folder of its own and looks at all that it leaves behind.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tool_test {

struct outcome {
  int exit_code = 0;  // minus the signal's number if a signal ended it
  std::string out, err;
};

/// A success, or the reason why `o` is not an exit with `code`, nothing on stdout and one line on stderr.
testing::AssertionResult fails_in_one_line(const outcome& o, int code);

/// The JSON objects on stdout, one a line, but for those about what stayed dense or was left out.
std::vector<nlohmann::json> json_lines(const outcome& o);

/// Of the same lines, the names of what stayed dense, and the reasons.
std::map<std::string, std::string> dense_in(const outcome& o);

/// The bytes of a vector of numbers.
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <class T>
std::vector<T> numbers_in(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// An .npy file of version 1; `shape` as Python writes it.
std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                const std::string& fortran_order = "False");

/// An .npy file of version 1 around any text of a header.
std::string npy_with_header(const std::string& header, const std::string& data);

std::string safetensors(const std::string& header, const std::string& data);

struct tensor {
  std::string name, dtype, shape, data;
};

/// A .safetensors file with metadata, and with a header that ends in spaces, as the format allows.
std::string file_of(const std::vector<tensor>& tensors, std::string header = R"({"__metadata__":{"format":"pt"})");

/// The tensors of an output that has the header of `in`.
std::vector<std::string> data_of(const std::string& out, const std::string& in, const std::vector<tensor>& tensors);

/// Gaussian numbers.
template <class T>
std::vector<T> gaussian(std::size_t count, unsigned seed);

/// Finite random float16 or bfloat16 bits.
std::vector<std::uint16_t> small_floats(std::size_t count, unsigned seed);

/// The number of rows and columns of the M x M tiles (smaller ones at the edge) of `mask` that keep more than N; with
/// `exactly`, also of those of full tiles that keep fewer.
int violations(const std::string& mask, int rows, int cols, int n, int m, bool exactly);

class ToolTest : public testing::Test {
 protected:
  ToolTest();
  ~ToolTest() override;

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const;
  std::string read(const std::string& name) const;
  /// The names of what is in the folder, sorted.
  std::vector<std::string> files() const;
  /// Runs the program, whose command comes first; always on the CPU unless `arguments` name a device.
  outcome run(std::vector<std::string> arguments) const;
  /// The same with stdout to a file of any kind.
  outcome run_into(const std::string& out, std::vector<std::string> arguments) const;
  /// The same as run() with stderr on a terminal, whose text is the outcome's `err`.
  outcome run_on_terminal(std::vector<std::string> arguments) const;

 private:
  std::filesystem::path folder_, streams_;
};

}  // namespace tool_test
