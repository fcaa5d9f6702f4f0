/// \file
/// NumPy's .npy format, versions 1 to 3: a magic string, a Python dict as text, then the array's bytes.
#pragma once

#include "tensor.hpp"

namespace tool {

/// Throws failure(exit_code::input) unless the file is a whole little-endian array in C order, of at most two
/// dimensions, of f2, f4 or f8 (weights) or of u1 or b1 (a mask). Its name is the file's.
tensor_entry read_npy_header(const input_file& file);

/// The bytes that come before a C-order uint8 array of this shape.
std::string npy_mask_header(std::int64_t rows, std::int64_t cols);

}  // namespace tool
