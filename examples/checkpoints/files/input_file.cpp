#include "input_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tool {

input_file::input_file(const std::filesystem::path& path) : path_(path) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::not_found) throw problem("does not exist; check the path");
  if (type != std::filesystem::file_type::regular) throw problem("is not a regular file; give one");
  size_ = std::filesystem::file_size(path, error);
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (error || descriptor_ < 0) throw problem("cannot be opened; check its permissions");
}

input_file::~input_file() {
  if (descriptor_ >= 0) close(descriptor_);
}

input_file::input_file(input_file&& other) noexcept
    : path_(std::move(other.path_)), size_(other.size_), descriptor_(std::exchange(other.descriptor_, -1)) {}

void input_file::read(std::uint64_t offset, void* data, std::size_t bytes) const {
  char* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_, to, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw problem("cannot be read to its end; check the disk, and that nothing else writes to the file");
    to += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

failure input_file::problem(const std::string& what) const {
  return failure(exit_code::input, in_quotes(path_.string()) + " " + what);
}

}  // namespace tool
