#include "safetensors.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "json_object.hpp"

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
                                                  {"C64", {64, {}}},
                                                  {"F8_E4M3", {8, weight_type::f8_e4m3}},
                                                  {"F8_E5M2", {8, weight_type::f8_e5m2}},
                                                  {"F16", {16, weight_type::f16}},
                                                  {"BF16", {16, weight_type::bf16}},
                                                  {"F32", {32, weight_type::f32}},
                                                  {"F64", {64, weight_type::f64}}};

std::string read_header_text(const input_file& file) {
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
  if (entry.bits == 0) return true;
  const auto bits = checked_product(entry.shape, entry.bits);
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
  if (const auto known = dtypes.find(entry.dtype); known != dtypes.end()) {
    entry.type = known->second.type;
    entry.bits = known->second.bits;
  }
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

safetensors_header read_safetensors_header(const input_file& file) {
  const std::string text = read_header_text(file);
  const std::uint64_t data_begin = prefix_bytes + text.size();
  safetensors_header result;
  const nlohmann::json header = parse_object(file, text, "a header", rewrite);
  for (const auto& [name, value] : header.items())
    if (name != "__metadata__") result.tensors.push_back(read_entry(file, name, value, data_begin));
  check_layout(file, result.tensors, data_begin);
  if (const auto metadata = header.find("__metadata__"); metadata != header.end() && metadata->is_object())
    for (const auto& [key, value] : metadata->items())
      if (value.is_string()) result.metadata.emplace(key, value.get<std::string>());
  return result;
}

std::string mask_file_header(std::vector<tensor_entry>& masks) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t end = 0;
  for (tensor_entry& mask : masks) {
    mask.dtype = "BOOL";
    mask.type.reset();
    mask.bits = 8;
    mask.bytes = checked_product(mask.shape, 1).value();
    mask.offset = end;
    end += mask.bytes;
    header[mask.name] = {{"dtype", mask.dtype}, {"shape", mask.shape}, {"data_offsets", {mask.offset, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin aligned
  std::string prefix;
  for (std::uint64_t k = 0; k < prefix_bytes; ++k) prefix += static_cast<char>(text.size() >> 8 * k & 0xff);
  for (tensor_entry& mask : masks) mask.offset += prefix_bytes + text.size();
  return prefix + text;
}

}  // namespace tool
