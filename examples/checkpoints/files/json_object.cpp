#include "json_object.hpp"

#include <set>
#include <vector>

namespace tool {

nlohmann::json parse_object(const input_file& file, const std::string& text, const std::string& what,
                            const std::string& advice) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto refuse_duplicates = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) keys.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) keys.pop_back();
    if (event == nlohmann::json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw file.problem("describes " + in_quotes(parsed.get<std::string>()) + " twice" + advice);
    return true;
  };
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(text, refuse_duplicates);
  } catch (const nlohmann::json::exception&) {
    throw file.problem("has " + what + " that is not valid JSON" + advice);
  }
  if (!object.is_object()) throw file.problem("has " + what + " that is not a JSON object" + advice);
  return object;
}

}  // namespace tool
