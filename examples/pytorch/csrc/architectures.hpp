/// \file
/// What the CUDA sources were compiled for.
#pragma once

namespace tsenor_torch {

/// As nvcc's list, such as "800,900".
const char* cuda_architectures();

}  // namespace tsenor_torch
