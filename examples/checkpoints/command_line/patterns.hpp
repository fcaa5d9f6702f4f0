/// \file
/// What the tools' command lines have in common.
#pragma once

#include <regex>
#include <string>

#include "tsenor/pattern.hpp"

namespace tool {

/// "N:M", or failure(exit_code::usage).
tsenor::pattern parse_pattern(const std::string& text);

/// CLI11's messages may span lines and may repeat what was typed; errors of the tools are one line.
std::string one_line(std::string text);

/// The names that --select stands for; a regular expression that cannot be used is a failure(exit_code::usage).
class name_filter {
 public:
  explicit name_filter(const std::string& select);
  /// Whether the expression matches a part of `name`.
  bool matches(const std::string& name) const;

 private:
  std::regex select_;
};

}  // namespace tool
