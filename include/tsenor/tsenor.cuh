/// \file
/// All of tsenor, for nvcc.
#pragma once

#include "tsenor/apply_mask.cuh"
#include "tsenor/check_mask.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/summarize.cuh"
#include "tsenor/tsenor.hpp"
