#include "index.hpp"

#include <set>

#include "json_object.hpp"

namespace tool {
namespace {

constexpr std::uint64_t max_index = 100'000'000;  // as a header of .safetensors
constexpr const char* rewrite = "; copy or write it again with save_pretrained";

// A file of the same folder, and nothing that leads out of it.
bool is_file_name(const std::string& name) {
  constexpr const char* ending = ".safetensors";
  const std::size_t length = std::char_traits<char>::length(ending);
  return name.size() > length && name.compare(name.size() - length, length, ending) == 0 &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

weight_map read_index(const input_file& file) {
  if (file.size() > max_index)
    throw file.problem("has " + std::to_string(file.size()) + " bytes; an index may have " + std::to_string(max_index));
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  const nlohmann::json index = parse_object(file, text, "a text", rewrite);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) throw file.problem("has no weight_map" + std::string(rewrite));
  weight_map result;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string() || !is_file_name(shard.get<std::string>()))
      throw file.problem("places tensor " + in_quotes(name) + " in " + escaped(shard.dump(-1, ' ', true)) +
                         ", which is not a .safetensors file in the same folder" + rewrite);
    result.emplace(name, shard.get<std::string>());
  }
  if (result.empty()) throw file.problem("names no tensor" + std::string(rewrite));
  return result;
}

std::vector<std::string> shards_of(const weight_map& index) {
  std::set<std::string> names;
  for (const auto& [tensor, shard] : index) names.insert(shard);
  return {names.begin(), names.end()};
}

std::vector<std::string> contradictions(const weight_map& index,
                                        const std::vector<std::vector<tensor_entry>>& tensors) {
  const std::vector<std::string> shards = shards_of(index);
  std::vector<std::string> found;
  std::map<std::string, std::string> places;
  for (std::size_t k = 0; k < tensors.size(); ++k)
    for (const tensor_entry& t : tensors[k])
      if (const auto [first, fresh] = places.emplace(t.name, shards[k]); !fresh)
        found.push_back(in_quotes(t.name) + " is both in " + in_quotes(first->second) + " and in " +
                        in_quotes(shards[k]));
  for (const auto& [name, shard] : index) {
    const auto place = places.find(name);
    if (place == places.end())
      found.push_back(in_quotes(name) + " should be in " + in_quotes(shard) + " but is in no shard");
    else if (place->second != shard)
      found.push_back(in_quotes(name) + " should be in " + in_quotes(shard) + " but is in " + in_quotes(place->second));
  }
  return found;
}

}  // namespace tool
