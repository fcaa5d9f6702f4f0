/// \file
/// The .safetensors format: the header's length in eight bytes, a JSON object that describes the tensors, their bytes.
#pragma once

#include <map>

#include "tensor.hpp"

namespace tool {

struct safetensors_header {
  std::vector<tensor_entry> tensors;            ///< by name
  std::map<std::string, std::string> metadata;  ///< what the file says of itself
};

/// Throws failure(exit_code::input) unless the header is valid and its tensors fill the rest of the file without holes
/// or overlaps.
safetensors_header read_safetensors_header(const input_file& file);

/// The bytes that come before the data of a file of masks of the given names and shapes, which it makes its entries:
/// BOOL, in the given order.
std::string mask_file_header(std::vector<tensor_entry>& masks);

}  // namespace tool
