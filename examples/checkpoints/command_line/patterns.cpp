#include "command_line.hpp"

#include <charconv>

#include "failure.hpp"

namespace tool {
namespace {

std::regex compile(const std::string& select) {
  try {
    return std::regex(select);
  } catch (const std::regex_error&) {
    throw failure(exit_code::usage, "--select " + in_quotes(select) +
                                        " is no valid regular expression; escape special characters with \\");
  }
}

}  // namespace

tsenor::pattern parse_pattern(const std::string& text) {
  tsenor::pattern pattern;
  const char* const end = text.data() + text.size();
  const auto n = std::from_chars(text.data(), end, pattern.n);
  const bool has_colon = n.ec == std::errc() && n.ptr != end && *n.ptr == ':';
  const auto m = has_colon ? std::from_chars(n.ptr + 1, end, pattern.m) : n;
  if (!has_colon || m.ec != std::errc() || m.ptr != end || !tsenor::is_supported(pattern))
    throw failure(exit_code::usage, "--pattern " + in_quotes(text) +
                                        " is not supported; give N:M with 1 <= N <= M and 2 <= M <= " +
                                        std::to_string(tsenor::max_tile) + ", as in 8:16");
  return pattern;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

name_filter::name_filter(const std::string& select) : select_(compile(select)) {}

bool name_filter::matches(const std::string& name) const {
  try {
    return std::regex_search(name, select_);
  } catch (const std::regex_error&) {
    throw failure(exit_code::usage,
                  "--select takes too long or too much memory on " + in_quotes(name) + "; give a simpler one");
  }
}

}  // namespace tool
