// Stands in for cuda/ where the CUDA parts are not compiled.
#include "solver.hpp"

namespace tool {

std::unique_ptr<solver> make_cuda_solver(std::string& why_not) {
  why_not = "this tsenor_mask was built without CUDA; configure it with -DTSENOR_CUDA=ON, or use --device cpu";
  return nullptr;
}

}  // namespace tool
