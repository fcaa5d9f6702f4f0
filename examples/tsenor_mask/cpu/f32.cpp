#include "find.hpp"

template tool::solution tool::find_on_cpu(const float*, const matrix&, const task&, const settings&);
