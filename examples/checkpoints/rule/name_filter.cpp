#include "name_filter.hpp"

#include <utility>

#include "failure.hpp"

namespace tool {
namespace {

std::regex compile(const std::string& option, const std::string& expression) {
  try {
    return std::regex(expression);
  } catch (const std::regex_error&) {
    throw failure(exit_code::usage, option + " " + in_quotes(expression) +
                                        " is not a valid regular expression; escape special characters with \\");
  }
}

}  // namespace

name_filter::name_filter(std::string option, const std::string& expression)
    : option_(std::move(option)), expression_(compile(option_, expression)) {}

bool name_filter::matches(const std::string& name) const {
  try {
    return std::regex_search(name, expression_);
  } catch (const std::regex_error&) {
    throw failure(exit_code::usage,
                  option_ + " takes too long or too much memory on " + in_quotes(name) + "; give a simpler one");
  }
}

}  // namespace tool
