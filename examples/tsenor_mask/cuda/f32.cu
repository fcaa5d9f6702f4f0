#include "find.cuh"

template tool::solution tool::find_on_cuda(const float*, const matrix&, const task&, const settings&);
