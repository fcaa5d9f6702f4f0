#include "find.cuh"

template tool::solution tool::find_on_cuda(const double*, const matrix&, const task&, const settings&);
