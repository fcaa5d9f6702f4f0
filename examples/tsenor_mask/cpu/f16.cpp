#include "find.hpp"

template tool::solution tool::find_on_cpu(const tsenor::float16*, const matrix&, tsenor::pattern, const settings&);
