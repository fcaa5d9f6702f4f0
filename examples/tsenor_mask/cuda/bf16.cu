#include "find.cuh"

template tool::solution tool::find_on_cuda(const tsenor::bfloat16*, const matrix&, const task&, const settings&);
