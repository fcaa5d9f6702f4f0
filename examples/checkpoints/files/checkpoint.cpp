#include "checkpoint.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include "index.hpp"
#include "npy.hpp"
#include "safetensors.hpp"

namespace tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* index_ending = ".safetensors.index.json";

bool ends_with(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// The files of a folder whose names have the ending.
std::vector<fs::path> files_with(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (ends_with(entry.path().filename().string(), ending)) found.push_back(entry.path());
  if (error)
    throw failure(exit_code::input,
                  in_quotes(folder.string()) + " cannot be listed: " + error.message() + "; check its permissions");
  std::sort(found.begin(), found.end());
  return found;
}

// The file by which a folder's model is read: its index, or its only .safetensors file.
fs::path entrance_of(const fs::path& folder) {
  const std::vector<fs::path> indices = files_with(folder, index_ending), files = files_with(folder, ".safetensors");
  const std::vector<fs::path>& candidates = indices.empty() ? files : indices;
  if (candidates.size() == 1) return candidates.front();
  for (const char* usual : {"model.safetensors.index.json", "model.safetensors"})
    for (const fs::path& candidate : candidates)
      if (candidate.filename() == usual) return candidate;
  const std::string what = indices.empty() ? ".safetensors file" : "index of .safetensors files";
  throw failure(exit_code::input, in_quotes(folder.string()) + " holds " +
                                      (candidates.empty() ? "no " : "more than one ") + what +
                                      (candidates.empty() ? "; name the folder of one model" : "; name the right one"));
}

// Other forms of the same weights, which would be dense beside pruned ones.
bool holds_weights(const fs::path& path) {
  const std::set<std::string> endings = {".safetensors", ".bin",  ".pt",      ".pth",    ".ckpt",
                                         ".gguf",        ".ggml", ".msgpack", ".onnx",   ".h5",
                                         ".npz",         ".npy",  ".ot",      ".tflite", ".onnx_data"};
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr const char* marks[] = {".index.", ".ckpt.", ".data-0"};
  // As model.safetensors.index.fp16.json and model.ckpt.data-00000-of-00001.
  const bool is_part = std::any_of(std::begin(marks), std::end(marks),
                                   [&](const char* mark) { return name.find(mark) != std::string::npos; });
  return is_part || endings.count(fs::path(name).extension().string()) > 0;
}

std::string listed(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) text += (text.empty() ? "" : ", ") + problem;
  return text;
}

}  // namespace

file_kind kind_of(const fs::path& path, const char* which) {
  std::error_code error;
  if (fs::is_directory(path, error) || ends_with(path.filename().string(), index_ending)) return file_kind::folder;
  if (path.extension() == ".npy") return file_kind::npy;
  if (path.extension() == ".safetensors") return file_kind::safetensors;
  if (!fs::exists(path, error))
    throw failure(exit_code::usage,
                  std::string(which) + " " + in_quotes(path.string()) + " does not exist; check the path");
  throw failure(exit_code::usage,
                std::string(which) + " " + in_quotes(path.string()) +
                    " is of an unknown kind; it has to end in .npy or .safetensors, or be a folder or "
                    "its model.safetensors.index.json");
}

std::vector<tensor_entry> read_header(const input_file& file, file_kind kind) {
  if (kind == file_kind::npy) return {read_npy_header(file)};
  return read_safetensors_header(file).tensors;
}

checkpoint::checkpoint(const fs::path& path) : kind_(kind_of(path, "IN")), path_(path) {
  if (kind_ == file_kind::folder) {
    const bool is_folder = fs::is_directory(path);
    const fs::path entrance = is_folder ? entrance_of(path) : path;
    path_ = is_folder ? path : path.parent_path().empty() ? fs::path(".") : path.parent_path();
    if (ends_with(entrance.filename().string(), index_ending))
      open_folder(entrance);
    else
      open_file(entrance);
    look_around();
  } else {
    open_file(path);
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& [name, kept] : metadata_)  // so safetensors' save_model remembers a tensor that is stored once
    if (find(name) == nullptr && find(kept) != nullptr) remarks_.emplace(kept, "tied to " + in_quotes(name));
}

void checkpoint::open_file(const fs::path& path) {
  files_.emplace_back(path);
  if (kind_ == file_kind::npy) return add_tensors(0, read_header(files_.front(), kind_));
  safetensors_header header = read_safetensors_header(files_.front());
  metadata_ = std::move(header.metadata);
  add_tensors(0, std::move(header.tensors));
}

void checkpoint::open_folder(const fs::path& index_path) {
  const input_file index_file(index_path);
  const weight_map index = read_index(index_file);
  std::vector<std::string> problems;
  std::vector<std::vector<tensor_entry>> tensors;
  for (const std::string& shard : shards_of(index)) {
    try {
      files_.emplace_back(path_ / shard);
      safetensors_header header = read_safetensors_header(files_.back());
      metadata_.merge(header.metadata);
      tensors.push_back(std::move(header.tensors));
    } catch (const failure& f) {
      problems.push_back(f.what());
    }
  }
  if (problems.empty()) problems = contradictions(index, tensors);
  if (!problems.empty()) throw index_file.problem("does not fit its shards: " + listed(problems));
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    for (const tensor_entry& t : tensors[k])
      if (index.count(t.name) == 0) remarks_.emplace(t.name, "in a shard, but not in the index");
    add_tensors(k, std::move(tensors[k]));
  }
  companions_.push_back(index_path);
}

void checkpoint::add_tensors(std::size_t file, std::vector<tensor_entry> tensors) {
  for (tensor_entry& t : tensors) {
    t.file = file;
    tensors_.push_back(std::move(t));
  }
}

void checkpoint::look_around() {
  for (const fs::path& path : files_with(path_, "")) {
    const auto is_path = [&](const fs::path& other) { return other.filename() == path.filename(); };
    const bool known = std::any_of(files_.begin(), files_.end(), [&](const auto& f) { return is_path(f.path()); }) ||
                       std::any_of(companions_.begin(), companions_.end(), is_path);
    if (known) continue;
    if (std::error_code error; !fs::is_regular_file(path, error))
      strangers_.emplace(path.filename().string(), "not a file");
    else if (holds_weights(path))
      strangers_.emplace(path.filename().string(), "weights that are not part of this model");
    else
      companions_.push_back(path);
  }
}

const tensor_entry* checkpoint::find(const std::string& name) const {
  if (kind_ == file_kind::npy) return &tensors_.front();
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const tensor_entry& t, const std::string& wanted) { return t.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

}  // namespace tool
