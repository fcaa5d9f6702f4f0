#include "dense_rule.hpp"

#include <fnmatch.h>

#include <sstream>
#include <utility>
#include <vector>

#include "dense_by_default.inc"  // the table's text, by CMake

namespace tool {
namespace {

using line = std::pair<std::string, std::string>;  // a pattern, and what it stands for

std::vector<line> read_table() {
  std::vector<line> lines;
  std::istringstream table(dense_by_default_table);
  for (std::string text; std::getline(table, text);) {
    const std::size_t end = text.find(' '), begin = text.find_first_not_of(' ', end);
    if (text.empty() || text.front() == '#' || begin == std::string::npos) continue;
    lines.emplace_back(text.substr(0, end), text.substr(begin));
  }
  return lines;
}

}  // namespace

std::optional<std::string> dense_by_default(const std::string& name) {
  static const std::vector<line> table = read_table();
  for (const auto& [glob, what] : table)
    if (matches_glob(glob, "." + name)) return what;
  return std::nullopt;
}

bool matches_glob(const std::string& glob, const std::string& name) {
  return fnmatch(glob.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace tool
