#include "find.hpp"

template tool::solution tool::find_on_cpu(const tsenor::bfloat16*, const matrix&, const task&, const settings&);
