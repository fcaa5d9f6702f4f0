#include "failure.hpp"

#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

namespace tool {
namespace {

int report(const char* program, exit_code code, const std::string& message) {
  std::cerr << program << ": " << message << '\n';
  return static_cast<int>(code);
}

}  // namespace

int exit_status_of(const char* program, const std::function<exit_code()>& work) {
  try {
    return static_cast<int>(work());
  } catch (const failure& failed) {
    return report(program, failed.code(), failed.what());
  } catch (const std::bad_alloc&) {
    return report(program, exit_code::input, "a matrix does not fit into memory; use a machine with more of it");
  } catch (const std::exception& unexpected) {
    return report(program, exit_code::input, in_quotes(unexpected.what()));
  }
}

std::string escaped(const std::string& text) {
  const std::string both = in_quotes(text);
  return both.substr(1, both.size() - 2);
}

std::string in_quotes(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void require(const tsenor::status& status) {
  if (status.ok()) return;
  const bool of_device =
      status.code() == tsenor::status_code::no_device || status.code() == tsenor::status_code::device_error;
  std::string message = status.message();
  if (status.observed() != 0 || status.required() != 0) {
    message += " (got " + std::to_string(status.observed());
    if (status.required() != 0) message += ", limit " + std::to_string(status.required());
    message += ")";
  }
  throw failure(of_device ? exit_code::device : exit_code::input, message);
}

}  // namespace tool
