#include "find.hpp"

template tool::solution tool::find_on_cpu(const double*, const matrix&, const task&, const settings&);
