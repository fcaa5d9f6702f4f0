#include "find.hpp"

template tool::solution tool::find_on_cpu(const float*, const matrix&, tsenor::pattern, const settings&);
