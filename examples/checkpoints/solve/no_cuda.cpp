// Stands in for cuda.cu where the CUDA parts are not compiled.
#include "pruner.hpp"
#include "solver.hpp"

namespace tool {
namespace {

constexpr const char* without =
    "this program was built without CUDA; configure it with -DTSENOR_CUDA=ON, or use --device cpu";

}  // namespace

std::unique_ptr<solver> make_cuda_solver(std::string& why_not) {
  why_not = without;
  return nullptr;
}

std::unique_ptr<pruner> make_cuda_pruner(std::string& why_not) {
  why_not = without;
  return nullptr;
}

}  // namespace tool
