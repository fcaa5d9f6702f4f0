/// \file
/// The .safetensors format: the header's length in eight bytes, a JSON object that describes the tensors, their bytes.
#pragma once

#include "tensor_file.hpp"

namespace tool {

/// Throws failure(exit_code::input) unless the header is valid and its tensors fill the rest of the file without holes
/// or overlaps.
std::vector<tensor_entry> read_safetensors_header(input_file& file);

}  // namespace tool
