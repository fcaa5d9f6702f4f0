/// \file
/// The index of a sharded checkpoint, model.safetensors.index.json: which tensor lies in which file of its folder.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor.hpp"

namespace tool {

/// The names of files, without folders, by the names of tensors.
using weight_map = std::map<std::string, std::string>;

/// Throws failure(exit_code::input) unless the file is such an index.
weight_map read_index(const input_file& file);

/// The files that an index names, each once.
std::vector<std::string> shards_of(const weight_map& index);

/// Where an index and its shards contradict each other: tensors that are not where it says, or that lie in two shards.
/// Each in words. `tensors[k]` are those of the k-th of shards_of(index). A tensor that the index does not name is
/// none.
std::vector<std::string> contradictions(const weight_map& index, const std::vector<std::vector<tensor_entry>>& tensors);

}  // namespace tool
