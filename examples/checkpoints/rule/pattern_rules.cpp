#include "pattern_rules.hpp"

#include <fnmatch.h>

#include <charconv>

#include "failure.hpp"

namespace tool {
namespace {

// "N:M"
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

}  // namespace

const pattern_rule* rule_for_name(const pattern_rules& rules, const std::string& name) {
  for (const pattern_rule& rule : rules)
    if (fnmatch(rule.glob.c_str(), name.c_str(), FNM_NOESCAPE) == 0) return &rule;
  return nullptr;
}

std::vector<pattern_rules> parse_patterns(const std::vector<std::string>& values) {
  pattern_rules named;
  std::vector<pattern_rules> plain;
  for (const std::string& value : values) {
    const std::size_t equals = value.rfind('=');
    const tsenor::pattern pattern = parse_pattern(equals == std::string::npos ? value : value.substr(equals + 1));
    if (equals == std::string::npos)
      plain.push_back({{"*", pattern}});
    else
      named.push_back({value.substr(0, equals), pattern});
  }
  if (named.empty()) return plain;
  if (plain.size() > 1)
    throw failure(exit_code::usage,
                  "--pattern takes a list N:M,N:M, or NAME=N:M with at most one N:M for all other names");
  if (!plain.empty()) named.push_back(plain.front().front());
  return {named};
}

std::string text_of(tsenor::pattern p) { return std::to_string(p.n) + ":" + std::to_string(p.m); }

}  // namespace tool
