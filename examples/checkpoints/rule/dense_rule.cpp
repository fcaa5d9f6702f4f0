#include "dense_rule.hpp"

#include <algorithm>
#include <regex>
#include <sstream>

#include "dense_by_default.inc"  // the table's text, by CMake

namespace tool {
namespace {

using names = std::vector<std::string>;

struct line {
  std::string place;
  std::regex part;
  std::string what;
};

std::vector<line> read_table() {
  std::vector<line> lines;
  std::istringstream table(dense_by_default_table);
  for (std::string text; std::getline(table, text);) {
    std::istringstream fields(text);
    std::string place, part, what;
    if (text.empty() || text.front() == '#' || !(fields >> place >> part >> std::ws)) continue;
    std::getline(fields, what);
    lines.push_back({place, std::regex(part), what});
  }
  return lines;
}

names parts_of(const std::string& name) {
  names parts;
  std::istringstream text(name);
  for (std::string part; std::getline(text, part, '.');) parts.push_back(part);
  return parts;
}

bool is_number(const std::string& part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
}

std::string joined(names::const_iterator begin, names::const_iterator end) {
  std::string text;
  for (; begin != end; ++begin) text += *begin + ".";
  return text;
}

bool has(const std::string& part, const char* word) { return part.find(word) != std::string::npos; }

bool is_batch_of_experts(const names& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](const std::string& part) { return has(part, "expert") || has(part, "moe"); });
}

// The parts of a name that a place stands for.
names parts_at(const std::string& place, const names& parts, const std::set<std::string>& with_experts) {
  if (place == "outside") return {parts.begin(), std::find_if(parts.begin(), parts.end(), is_number)};
  if (place == "tensor") return {parts.back()};
  if (place == "owner") {
    const bool numbered = std::any_of(parts.begin(), parts.end(), is_number);
    return parts.size() >= 2 && !numbered ? names{parts[parts.size() - 2]} : names{};
  }
  if (place == "part") return parts;
  names beside;  // "gate"
  for (auto part = parts.begin(); part != parts.end(); ++part)
    if (with_experts.count(joined(parts.begin(), part)) > 0) beside.push_back(*part);
  return beside;
}

}  // namespace

dense_rule::dense_rule(const std::vector<tensor_entry>& tensors) {
  for (const tensor_entry& t : tensors) {
    const names parts = parts_of(t.name);
    for (auto part = parts.begin(); part != parts.end() && std::next(part) != parts.end(); ++part) {
      if (has(*part, "expert")) with_experts_.insert(joined(parts.begin(), part));
      if (has(*part, "moe")) with_experts_.insert(joined(parts.begin(), std::next(part)));
    }
  }
}

std::optional<std::string> dense_rule::operator()(const tensor_entry& tensor) const {
  static const std::vector<line> table = read_table();
  const names parts = parts_of(tensor.name);
  if (parts.empty()) return std::nullopt;
  for (const line& l : table)
    for (const std::string& part : parts_at(l.place, parts, with_experts_))
      if (std::regex_match(part, l.part)) return l.what;
  if (tensor.shape.size() == 3 && !is_batch_of_experts(parts)) return "3-D, but not a batch of experts by its name";
  return std::nullopt;
}

}  // namespace tool
