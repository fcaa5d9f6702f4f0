// Stands in for cuda/ where the CUDA parts are not compiled.
#include "pruner.hpp"

namespace tool {

std::unique_ptr<pruner> make_cuda_pruner(std::string& why_not) {
  why_not = "this tsenor_prune was built without CUDA; configure it with -DTSENOR_CUDA=ON";
  return nullptr;
}

}  // namespace tool
