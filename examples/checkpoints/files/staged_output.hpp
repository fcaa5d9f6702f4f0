/// \file
/// Output that is whole or absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "input_file.hpp"

namespace tool {

/// Writes a file, or a folder of files, to a temporary beside `path`, which takes its place when committed. Without a
/// commit the temporary is removed, also when the process is interrupted (SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT,
/// SIGXCPU); what stood at `path` before is then still there. A folder has to be new or empty. Every error is a
/// failure(exit_code::input). At most one object at a time.
class staged_output {
 public:
  enum class shape { file, folder };

  staged_output(const std::filesystem::path& path, shape s);
  ~staged_output();
  staged_output(const staged_output&) = delete;
  staged_output& operator=(const staged_output&) = delete;

  /// Fails unless the disk has room for so many bytes.
  void require_room(std::uint64_t bytes) const;

  /// What is written next goes to this file of the folder, from its beginning. Not for a file.
  void begin(const std::string& name);
  void write(std::uint64_t offset, const void* data, std::size_t bytes);

  /// Brings the data to the disk and the output into place. Nothing may be written afterwards.
  void commit();

 private:
  void end_file();

  std::filesystem::path path_;  // with symbolic links resolved: it is their target that is replaced
  std::string temporary_;       // empty once it has taken its place
  shape shape_;
  int descriptor_ = -1;
};

/// Copies the bytes from `begin` to `end` of one file to the same place of the other.
void copy_range(const input_file& from, staged_output& to, std::uint64_t begin, std::uint64_t end);

}  // namespace tool
