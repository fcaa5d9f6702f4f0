/// \file
/// An output file that is whole or absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "tensor_file.hpp"

namespace tool {

/// Writes to a temporary beside `path` and takes its place when committed. Without a commit the temporary is removed,
/// also when the process is interrupted (SIGINT, SIGTERM, SIGHUP); what stood at `path` before is then still there.
/// Every error is a failure(exit_code::input). At most one object at a time.
class atomic_file {
 public:
  explicit atomic_file(const std::filesystem::path& path);
  ~atomic_file();
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;

  void write(std::uint64_t offset, const void* data, std::size_t bytes);

  /// Brings the data to the disk and the file into place. Nothing may be written afterwards.
  void commit();

 private:
  std::filesystem::path path_;  // with symbolic links resolved: it is their target that is replaced
  std::string temporary_;       // empty once it has taken its place
  int descriptor_ = -1;
};

/// Begins `to` as a copy of `from`: what is not pruned stays as it is.
void copy_all(input_file& from, atomic_file& to);

}  // namespace tool
