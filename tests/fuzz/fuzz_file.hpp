/// \file
/// The readers of checkpoints on any bytes: they take a file or say in one line why not, and what they took is what
/// they say.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint.hpp"

namespace tsenor_fuzz {

/// Reads `[size]` bytes as a file of that kind; a folder stands for its index, beside two shards that are right. Ends
/// the program where a promise of the readers is broken.
void read_as_file(tool::file_kind kind, const std::uint8_t* bytes, std::size_t size);

}  // namespace tsenor_fuzz
