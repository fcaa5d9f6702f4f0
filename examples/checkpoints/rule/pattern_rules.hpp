/// \file
/// Which pattern a tensor gets.
#pragma once

#include <string>
#include <vector>

#include "tsenor/pattern.hpp"

namespace tool {

struct pattern_rule {
  std::string glob;  ///< of fnmatch, for the whole name
  tsenor::pattern pattern;
};

/// The first rule that a name matches gives the pattern.
using pattern_rules = std::vector<pattern_rule>;

/// The first rule that the name matches, or null.
const pattern_rule* rule_for_name(const pattern_rules& rules, const std::string& name);

/// What the values of --pattern ask for: one set of rules, or with a plain list N:M,N:M several, each of one pattern
/// for all. Throws failure(exit_code::usage).
std::vector<pattern_rules> parse_patterns(const std::vector<std::string>& values);

std::string text_of(tsenor::pattern p);

}  // namespace tool
