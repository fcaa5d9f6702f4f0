#include "find.cuh"

template tool::solution tool::find_on_cuda(const float*, const matrix&, tsenor::pattern, const settings&);
