/// \file
/// Files that go away with the process unless they are kept.
#pragma once

#include <signal.h>

#include <string>

namespace tool {

/// While there is one, an interrupt waits: between making a file or folder and guarding it.
class held_interrupts {
 public:
  held_interrupts() noexcept;
  ~held_interrupts();
  held_interrupts(const held_interrupts&) = delete;
  held_interrupts& operator=(const held_interrupts&) = delete;

 private:
  sigset_t before_;
};

/// From now on the file or (empty) folder is removed when the process is interrupted.
void guard_temporary(const std::string& path);

/// Removes what is guarded, the newest first.
void remove_temporaries() noexcept;

/// What is guarded stays.
void release_temporaries() noexcept;

}  // namespace tool
