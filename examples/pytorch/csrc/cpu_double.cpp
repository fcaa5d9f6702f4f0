#include "find_cpu.hpp"

template tsenor::status tsenor_torch::find_on_cpu<double>(const request&, int);
