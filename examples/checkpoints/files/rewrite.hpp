/// \file
/// A checkpoint written anew with some of its tensors changed.
#pragma once

#include <functional>

#include "checkpoint.hpp"
#include "staged_output.hpp"

namespace tool {

/// Writes the data of a tensor at `offset` bytes from its beginning.
using tensor_writer = std::function<void(std::uint64_t offset, const std::vector<std::byte>& data)>;

/// Writes the checkpoint to `path`, in the form that it has itself: every byte as it is, but for the data of the
/// tensors `changed`, which `change` is called for, one after the other, and has to write whole. Whole or absent.
void rewrite(const checkpoint& in, const std::filesystem::path& path, std::vector<const tensor_entry*> changed,
             const std::function<void(const tensor_entry&, const tensor_writer&)>& change);

/// Throws failure(exit_code::usage) where an output would lie on or in what is read.
void refuse_overlap(const checkpoint& read, const std::filesystem::path& out);

}  // namespace tool
