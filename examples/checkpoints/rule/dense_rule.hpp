/// \file
/// What stays dense unless it is asked for: the rule of dense_by_default.txt.
#pragma once

#include <optional>
#include <string>

namespace tool {

/// What the tensor is by its name ("an embedding"), if it is one of those that stay dense by default.
std::optional<std::string> dense_by_default(const std::string& name);

/// Whether the pattern of fnmatch, in which * stands for anything, is that of the whole name.
bool matches_glob(const std::string& glob, const std::string& name);

}  // namespace tool
