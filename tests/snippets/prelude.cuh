// What the documentation's CUDA snippets use without declaring it: prelude.hpp's matrices in device memory, and a
// stream.
#pragma once

#include "prelude.hpp"
#include "tsenor/tsenor.cuh"

extern cudaStream_t stream;
