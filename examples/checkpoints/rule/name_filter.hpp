/// \file
/// Names by a regular expression.
#pragma once

#include <regex>
#include <string>

namespace tool {

/// The names that an option's regular expression stands for; one that cannot be used is a failure(exit_code::usage).
class name_filter {
 public:
  name_filter(std::string option, const std::string& expression);
  /// Whether the expression matches a part of `name`.
  bool matches(const std::string& name) const;

 private:
  std::string option_;
  std::regex expression_;
};

}  // namespace tool
