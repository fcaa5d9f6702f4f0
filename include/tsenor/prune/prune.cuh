/// \file
/// All pruners, for nvcc. Programs link with cuBLAS and cuSOLVER.
#pragma once

#include "tsenor/prune/alps.cuh"
#include "tsenor/prune/gram.cuh"
#include "tsenor/prune/layer_error.cuh"
#include "tsenor/prune/magnitude.cuh"
#include "tsenor/prune/prune.hpp"
#include "tsenor/prune/sparsegpt.cuh"
#include "tsenor/prune/wanda.cuh"
