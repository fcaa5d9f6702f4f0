#include "find.cuh"

template tool::solution tool::find_on_cuda(const tsenor::float16*, const matrix&, const task&, const settings&);
