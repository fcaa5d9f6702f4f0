#include "golden.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tsenor_test {
namespace {

/// A .safetensors file: the header's length in eight bytes, a JSON object, the tensors' bytes.
class tensors {
 public:
  explicit tensors(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    std::uint64_t length = 0;
    file_.read(reinterpret_cast<char*>(&length), sizeof length);
    std::string text(file_ ? length : 0, ' ');
    file_.read(text.data(), static_cast<std::streamsize>(length));
    if (!file_) throw std::runtime_error("no golden tiles: " + path);
    header = nlohmann::json::parse(text);
    data_ = sizeof length + length;
  }

  template <class T>
  std::vector<T> read(const std::string& name) {
    const nlohmann::json& entry = header.at(name);
    const std::size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    if (entry.at("dtype") != (sizeof(T) == 4 ? "F32" : "F64"))
      throw std::runtime_error("type of " + name + ": " + path_);
    std::vector<T> values((end - begin) / sizeof(T));
    file_.seekg(static_cast<std::streamoff>(data_ + begin));
    file_.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(end - begin));
    if (!file_) throw std::runtime_error("truncated: " + path_);
    return values;
  }

  nlohmann::json header;

 private:
  std::string path_;
  std::ifstream file_;
  std::size_t data_ = 0;
};

}  // namespace

std::vector<golden_name> golden_names(const std::string& folder) {
  const std::string suffix = ".weights";
  std::vector<golden_name> names;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".safetensors") continue;
    const std::string pattern = file.path().stem().string();  // N_M
    const int n = std::stoi(pattern), m = std::stoi(pattern.substr(pattern.find('_') + 1));
    const tensors of_pattern(file.path().string());
    for (const auto& [tensor, entry] : of_pattern.header.items()) {
      const std::size_t at = tensor.find(suffix);
      if (at == std::string::npos) continue;
      const std::string distribution = tensor.substr(0, at);
      names.push_back({distribution + "_" + pattern, distribution, {n, m}});
    }
  }
  if (names.empty()) throw std::runtime_error("no golden tiles in " + folder);
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.stem < b.stem; });
  return names;
}

golden_set read_golden(const std::string& folder, const golden_name& name) {
  const std::string pattern = std::to_string(name.p.n) + "_" + std::to_string(name.p.m);
  tensors file(folder + "/" + pattern + ".safetensors");
  golden_set set{name, file.header.at(name.distribution + ".weights").at("shape").at(0),
                 file.read<float>(name.distribution + ".weights"),
                 file.read<double>(name.distribution + ".optimum_exactly"),
                 file.read<double>(name.distribution + ".optimum_at_most")};
  const auto tiles = static_cast<std::size_t>(set.tiles);
  if (set.weights.size() != tiles * name.p.m * name.p.m || set.optimum_exactly.size() != tiles ||
      set.optimum_at_most.size() != tiles) {
    throw std::runtime_error("shapes do not agree: " + name.stem);
  }
  return set;
}

}  // namespace tsenor_test
