#include "find.hpp"

template tool::solution tool::find_on_cpu(const double*, const matrix&, tsenor::pattern, const settings&);
