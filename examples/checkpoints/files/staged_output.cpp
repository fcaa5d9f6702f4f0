#include "staged_output.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "temporary.hpp"

namespace tool {
namespace {

namespace fs = std::filesystem;

failure cannot_write(const fs::path& path, const std::string& why) {
  return failure(exit_code::input, "cannot write " + in_quotes(path.string()) + ": " + why);
}

failure system_error(const fs::path& path) {
  return cannot_write(path,
                      std::string(std::strerror(errno)) + "; choose another file, or make room or permissions for it");
}

// The permissions of the file that is replaced, or of a new file or folder.
mode_t permissions_for(const fs::path& path, mode_t of_new) {
  struct stat existing;
  if (stat(path.c_str(), &existing) == 0) return existing.st_mode & 07777;
  const mode_t mask = umask(0);
  umask(mask);
  return of_new & ~mask;
}

// A rename is on the disk when the folder that holds it is.
void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);  // where a file system knows no such thing, there is nothing to be done
  close(descriptor);
}

void check_file(const fs::path& path, const fs::path& named) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  if (!fs::is_regular_file(path, error)) throw cannot_write(named, "it is not a regular file; choose another file");
  if (access(path.c_str(), W_OK) != 0) throw system_error(named);
}

void check_folder(const fs::path& path, const fs::path& named) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  if (!fs::is_directory(path, error))
    throw cannot_write(named, "it is not a folder, but the model is one; choose a new folder");
  if (!fs::is_empty(path, error)) throw cannot_write(named, "the folder is not empty; choose a new one, or empty it");
}

}  // namespace

staged_output::staged_output(const fs::path& path, shape s) : shape_(s) {
  std::error_code error;
  const fs::path whole = fs::absolute(path.filename().empty() ? path.parent_path() : path, error);  // "out/" is "out"
  path_ = fs::weakly_canonical(whole, error);
  if (error) throw cannot_write(path, error.message() + "; choose another file");
  s == shape::file ? check_file(path_, path) : check_folder(path_, path);
  temporary_ = path_.string() + ".XXXXXX";
  const held_interrupts until_guarded;
  if (s == shape::file)
    descriptor_ = mkstemp(temporary_.data());
  else if (mkdtemp(temporary_.data()) == nullptr)
    descriptor_ = -1, temporary_.clear();
  if (s == shape::file ? descriptor_ < 0 : temporary_.empty()) throw system_error(path);
  guard_temporary(temporary_);
}

staged_output::~staged_output() {
  if (descriptor_ >= 0) close(descriptor_);
  remove_temporaries();
}

void staged_output::require_room(std::uint64_t bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(path_.parent_path(), error);
  if (!error && space.available < bytes)
    throw cannot_write(path_, "it takes " + std::to_string(bytes) + " bytes, but the disk has room for " +
                                  std::to_string(space.available) + "; make room, or choose another disk");
}

void staged_output::begin(const std::string& name) {
  end_file();
  const std::string path = (fs::path(temporary_) / name).string();
  const held_interrupts until_guarded;
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw system_error(path_ / name);
  guard_temporary(path);
}

void staged_output::write(std::uint64_t offset, const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(descriptor_, from, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw system_error(path_);
    from += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void staged_output::end_file() {
  if (descriptor_ < 0) return;
  const bool safe = fsync(descriptor_) == 0;
  const bool closed = close(descriptor_) == 0;
  descriptor_ = -1;
  if (!safe || !closed) throw system_error(path_);
}

void staged_output::commit() {
  end_file();
  if (chmod(temporary_.c_str(), permissions_for(path_, shape_ == shape::file ? 0666 : 0777)) != 0)
    throw system_error(path_);
  if (shape_ == shape::folder) sync_folder(temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(path_);
  release_temporaries();
  sync_folder(path_.parent_path());
}

void copy_range(const input_file& from, staged_output& to, std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t chunk = 1 << 20;
  std::vector<char> buffer(static_cast<std::size_t>(std::min(chunk, end - begin)));
  for (std::uint64_t offset = begin; offset < end; offset += chunk) {
    const std::size_t bytes = static_cast<std::size_t>(std::min(chunk, end - offset));
    from.read(offset, buffer.data(), bytes);
    to.write(offset, buffer.data(), bytes);
  }
}

}  // namespace tool
