/// \file
/// JSON in files that strangers wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "input_file.hpp"

namespace tool {

/// The object that `text` is; a key that comes twice is an error, as the library would silently keep the last one.
/// Errors name the file, `what` of it ("a header") and the `advice`.
nlohmann::json parse_object(const input_file& file, const std::string& text, const std::string& what,
                            const std::string& advice);

}  // namespace tool
