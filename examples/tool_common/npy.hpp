/// \file
/// NumPy's .npy format, versions 1 to 3: a magic string, a Python dict as text, then the array's bytes.
#pragma once

#include "tensor_file.hpp"

namespace tool {

/// Throws failure(exit_code::input) unless the file is a whole little-endian array of f2, f4 or f8 in C order. Its name
/// is the file's.
tensor_entry read_npy_header(input_file& file);

/// The bytes that come before a C-order uint8 array of this shape.
std::string npy_mask_header(std::int64_t rows, std::int64_t cols);

}  // namespace tool
