#include "atomic_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "failure.hpp"

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

// What a signal handler may touch: the name of the temporary, valid while `pending` is set.
constexpr std::size_t longest_path = 4096;
char pending_path[longest_path];
volatile sig_atomic_t pending = 0;

extern "C" void remove_pending(int signal_number) {
  if (pending) unlink(pending_path);
  raise(signal_number);  // SA_RESETHAND: ends the process as if there had been no handler
}

void remove_on_interrupt(const std::string& temporary) {
  std::memcpy(pending_path, temporary.c_str(), temporary.size() + 1);
  pending = 1;
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before, action = {};
    if (sigaction(signal_number, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) continue;  // nohup
    action.sa_handler = remove_pending;
    action.sa_flags = SA_RESETHAND;
    sigaction(signal_number, &action, nullptr);
  }
}

// The permissions of the file that is replaced, or of a new file.
mode_t permissions_for(const fs::path& path) {
  struct stat existing;
  if (stat(path.c_str(), &existing) == 0) return existing.st_mode & 07777;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

atomic_file::atomic_file(const fs::path& path) {
  std::error_code error;
  path_ = fs::weakly_canonical(path, error);
  if (error) throw cannot_write(path, error.message() + "; choose another file");
  const bool exists = fs::exists(path_, error);
  if (exists && !fs::is_regular_file(path_, error))
    throw cannot_write(path, "it is not a regular file; choose another file");
  if (exists && access(path_.c_str(), W_OK) != 0) throw system_error(path);
  temporary_ = path_.string() + ".XXXXXX";
  if (temporary_.size() >= longest_path) throw cannot_write(path, "the path is too long; choose another file");
  descriptor_ = mkstemp(temporary_.data());
  if (descriptor_ < 0) throw system_error(path);
  remove_on_interrupt(temporary_);
}

atomic_file::~atomic_file() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
  pending = 0;
}

void atomic_file::write(std::uint64_t offset, const void* data, std::size_t bytes) {
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

void atomic_file::commit() {
  if (fchmod(descriptor_, permissions_for(path_)) != 0 || fsync(descriptor_) != 0) throw system_error(path_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(path_);
  pending = 0;
  temporary_.clear();
}

void copy_all(input_file& from, atomic_file& to) {
  constexpr std::uint64_t chunk = 1 << 20;
  std::vector<char> buffer(chunk);
  for (std::uint64_t offset = 0; offset < from.size(); offset += chunk) {
    const std::size_t bytes = std::min(chunk, from.size() - offset);
    from.read(offset, buffer.data(), bytes);
    to.write(offset, buffer.data(), bytes);
  }
}

}  // namespace tool
