#include "find.cuh"

template tool::solution tool::find_on_cuda(const tsenor::float16*, const matrix&, tsenor::pattern, const settings&);
