/// \file
/// The one way in which the program gives up: an exit code and one line that says what is wrong and what to do.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "tsenor/status.hpp"

namespace tool {

/// What the process exits with.
enum class exit_code {
  success = 0,
  violations = 1,  ///< of `check`: the file does not have the pattern
  usage = 2,       ///< the command line is wrong
  input = 3,       ///< a file cannot be used, or nothing in it can be pruned
  device = 4,      ///< the CUDA device cannot be used
};

/// Thrown anywhere, caught once in exit_status_of().
class failure : public std::runtime_error {
 public:
  failure(exit_code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  exit_code code() const { return code_; }

 private:
  exit_code code_;
};

/// `text` with control characters and invalid UTF-8 escaped: a line stays one line whatever a file or tensor is called.
std::string escaped(const std::string& text);

/// The same in double quotes.
std::string in_quotes(const std::string& text);

/// Runs the program's work and gives its exit status; what was thrown is said in one line on the standard error.
int exit_status_of(const char* program, const std::function<exit_code()>& work);

/// Returns if `status` is a success; else throws what it says.
void require(const tsenor::status& status);

}  // namespace tool
