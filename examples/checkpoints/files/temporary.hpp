/// \file
/// Files that go away with the process unless they are kept.
#pragma once

#include <string>

namespace tool {

/// From now on the file or (empty) folder is removed when the process is interrupted.
void guard_temporary(const std::string& path);

/// Removes what is guarded, the newest first.
void remove_temporaries() noexcept;

/// What is guarded stays.
void release_temporaries() noexcept;

}  // namespace tool
