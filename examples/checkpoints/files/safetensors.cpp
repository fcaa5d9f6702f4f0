#include "safetensors.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace tool {
namespace {

constexpr std::uint64_t prefix_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t max_name = 4096;  // std::regex recurses once a character: keep that off the stack's end

constexpr const char* rewrite = "; copy or write it again with safetensors' save_file";

struct dtype_info {
  std::uint64_t bits;
  std::optional<weight_type> type;
};

const std::map<std::string, dtype_info> dtypes = {{"BOOL", {8, {}}},
                                                  {"U8", {8, {}}},
                                                  {"I8", {8, {}}},
                                                  {"F8_E4M3", {8, {}}},
                                                  {"F8_E5M2", {8, {}}},
                                                  {"F8_E8M0", {8, {}}},
                                                  {"F4", {4, {}}},
                                                  {"F6_E2M3", {6, {}}},
                                                  {"F6_E3M2", {6, {}}},
                                                  {"I16", {16, {}}},
                                                  {"U16", {16, {}}},
                                                  {"I32", {32, {}}},
                                                  {"U32", {32, {}}},
                                                  {"I64", {64, {}}},
                                                  {"U64", {64, {}}},
                                                  {"F64", {64, {}}},
                                                  {"C64", {64, {}}},
                                                  {"F16", {16, weight_type::f16}},
                                                  {"BF16", {16, weight_type::bf16}},
                                                  {"F32", {32, weight_type::f32}}};

std::string read_header_text(input_file& file) {
  if (file.size() < prefix_bytes) throw file.problem("is too short to be a .safetensors file" + std::string(rewrite));
  unsigned char prefix[prefix_bytes];
  file.read(0, prefix, prefix_bytes);
  std::uint64_t length = 0;
  for (std::uint64_t i = prefix_bytes; i > 0; --i) length = length << 8 | prefix[i - 1];
  if (length > file.size() - prefix_bytes)
    throw file.problem("has " + std::to_string(file.size()) + " bytes, but its header alone claims " +
                       std::to_string(length) + rewrite);
  if (length > max_header)
    throw file.problem("has a header of " + std::to_string(length) + " bytes; the format allows " +
                       std::to_string(max_header));
  std::string text(length, '\0');
  file.read(prefix_bytes, text.data(), text.size());
  return text;
}

// The parsed object. A key that comes twice is an error: the library would silently keep the last one.
nlohmann::json parse_header(const input_file& file, const std::string& text) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto refuse_duplicates = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) keys.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) keys.pop_back();
    if (event == nlohmann::json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw file.problem("describes " + in_quotes(parsed.get<std::string>()) + " twice" + rewrite);
    return true;
  };
  nlohmann::json header;
  try {
    header = nlohmann::json::parse(text, refuse_duplicates);
  } catch (const nlohmann::json::exception&) {
    throw file.problem("has a header that is not valid JSON" + std::string(rewrite));
  }
  if (!header.is_object()) throw file.problem("has a header that is not a JSON object" + std::string(rewrite));
  return header;
}

bool is_sizes(const nlohmann::json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_number_unsigned(); });
}

bool is_description(const nlohmann::json& value) {
  return value.is_object() && value.contains("dtype") && value["dtype"].is_string() && value.contains("shape") &&
         is_sizes(value["shape"]) && value.contains("data_offsets") && is_sizes(value["data_offsets"]) &&
         value["data_offsets"].size() == 2;
}

// `bytes` against what dtype and shape say. The size of a dtype that is not known cannot be checked; it is only copied.
bool size_is_right(const tensor_entry& entry) {
  const auto known = dtypes.find(entry.dtype);
  if (known == dtypes.end()) return true;
  const auto bits = checked_product(entry.shape, known->second.bits);
  return bits && *bits % 8 == 0 && *bits / 8 == entry.bytes;
}

tensor_entry read_entry(const input_file& file, const std::string& name, const nlohmann::json& value,
                        std::uint64_t data_begin) {
  const std::string tensor = "tensor " + in_quotes(name.substr(0, max_name));
  if (name.size() > max_name)
    throw file.problem("names a tensor with more than " + std::to_string(max_name) + " bytes; rename it");
  if (!is_description(value))
    throw file.problem("describes " + tensor + " without dtype, shape or data_offsets" + rewrite);
  tensor_entry entry;
  entry.name = name;
  entry.dtype = value["dtype"].get<std::string>();
  entry.shape = value["shape"].get<std::vector<std::uint64_t>>();
  if (const auto known = dtypes.find(entry.dtype); known != dtypes.end()) entry.type = known->second.type;
  const auto begin = value["data_offsets"][0].get<std::uint64_t>(), end = value["data_offsets"][1].get<std::uint64_t>();
  if (begin > end || end > file.size() - data_begin)
    throw file.problem("places " + tensor + " at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                       " of its " + std::to_string(file.size() - data_begin) + " bytes of data" + rewrite);
  entry.offset = data_begin + begin;
  entry.bytes = end - begin;
  if (!size_is_right(entry))
    throw file.problem("gives " + tensor + " " + std::to_string(entry.bytes) + " bytes, which is not the size of " +
                       shape_text(entry.shape) + " of " + in_quotes(entry.dtype) + rewrite);
  return entry;
}

void check_layout(const input_file& file, const std::vector<tensor_entry>& entries, std::uint64_t data_begin) {
  std::vector<const tensor_entry*> sorted;
  for (const tensor_entry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
  });
  std::uint64_t end = data_begin;
  for (const tensor_entry* entry : sorted) {
    if (entry->offset < end)
      throw file.problem("lets tensor " + in_quotes(entry->name) + " overlap another one" + rewrite);
    if (entry->offset > end) throw file.problem("has a hole before tensor " + in_quotes(entry->name) + rewrite);
    end = entry->offset + entry->bytes;
  }
  if (end != file.size())
    throw file.problem("has " + std::to_string(file.size() - end) + " bytes that belong to no tensor" + rewrite);
}

}  // namespace

std::vector<tensor_entry> read_safetensors_header(input_file& file) {
  const std::string text = read_header_text(file);
  const std::uint64_t data_begin = prefix_bytes + text.size();
  std::vector<tensor_entry> entries;
  const nlohmann::json header = parse_header(file, text);
  for (const auto& [name, value] : header.items())
    if (name != "__metadata__") entries.push_back(read_entry(file, name, value, data_begin));
  check_layout(file, entries, data_begin);
  return entries;
}

}  // namespace tool
