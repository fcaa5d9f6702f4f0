/// \file
/// A file that is only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "failure.hpp"

namespace tool {

/// Every error is a failure(exit_code::input) that names the file.
class input_file {
 public:
  explicit input_file(const std::filesystem::path& path);
  ~input_file();
  input_file(input_file&& other) noexcept;
  input_file& operator=(input_file&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  /// Reads `bytes` bytes from `offset`, all of them or it throws.
  void read(std::uint64_t offset, void* data, std::size_t bytes) const;

  /// A failure about the contents of this file: its name, then `what`.
  [[nodiscard]] failure problem(const std::string& what) const;

 private:
  std::filesystem::path path_;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace tool
