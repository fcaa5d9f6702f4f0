// One solver for all: find_mask with the pattern as a value has the type of the weights as one, too.
#include "find_cpu.hpp"

template tsenor::status tsenor_torch::find_on_cpu<float>(const request&, int);
template tsenor::status tsenor_torch::find_on_cpu<double>(const request&, int);
template tsenor::status tsenor_torch::find_on_cpu<tsenor::float16>(const request&, int);
template tsenor::status tsenor_torch::find_on_cpu<tsenor::bfloat16>(const request&, int);
