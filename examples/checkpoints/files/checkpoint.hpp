/// \file
/// A model as it lies on the disk: one file, or a folder with an index and its shards.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor.hpp"

namespace tool {

/// How a checkpoint is kept.
enum class file_kind { npy, safetensors, folder };

/// By the ending of the name, or failure(exit_code::usage) that begins with `which`. What is a folder, or an index, is
/// a folder.
file_kind kind_of(const std::filesystem::path& path, const char* which);

/// Reads and checks the header of one file, nothing else. The order of the entries is that of their names.
std::vector<tensor_entry> read_header(const input_file& file, file_kind kind);

/// All headers are read and checked, and an index against its shards; the data stay on the disk. Every error is a
/// failure(exit_code::input), and says all that is wrong with an index at once.
class checkpoint {
 public:
  explicit checkpoint(const std::filesystem::path& path);

  file_kind kind() const { return kind_; }
  const std::filesystem::path& path() const { return path_; }  ///< of the folder, or of the one file
  const std::vector<input_file>& files() const { return files_; }
  const std::vector<tensor_entry>& tensors() const { return tensors_; }  ///< by name
  /// Null where there is none. An .npy file holds one matrix, whatever it is called.
  const tensor_entry* find(const std::string& name) const;

  /// Why a tensor is special: it is tied to another one, or the index does not name it.
  const std::map<std::string, std::string>& remarks() const { return remarks_; }
  /// Of a folder: other files that belong to the model, as its configuration does.
  const std::vector<std::filesystem::path>& companions() const { return companions_; }
  /// Of a folder: what is neither, with the reason.
  const std::map<std::string, std::string>& strangers() const { return strangers_; }

  const input_file& file_of(const tensor_entry& t) const { return files_[t.file]; }

 private:
  void open_file(const std::filesystem::path& path);
  void open_folder(const std::filesystem::path& index);
  void add_tensors(std::size_t file, std::vector<tensor_entry> tensors);
  void look_around();

  file_kind kind_;
  std::filesystem::path path_;
  std::vector<input_file> files_;
  std::vector<tensor_entry> tensors_;
  std::map<std::string, std::string> remarks_, metadata_, strangers_;
  std::vector<std::filesystem::path> companions_;
};

}  // namespace tool
