// All that is solved on the GPU, in one source: find_mask is compiled once, for floats and the pruners' importance.
#include "cuda_pruner.cuh"
#include "cuda_solver.cuh"

namespace tool {
namespace {

bool is_there(std::string& why_not) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return true;
  cudaGetLastError();  // what was found is reported here; later calls start clean
  why_not =
      std::string("there is no CUDA device (") + cudaGetErrorString(error) + "); check nvidia-smi, or use --device cpu";
  return false;
}

}  // namespace

std::unique_ptr<solver> make_cuda_solver(std::string& why_not) {
  return is_there(why_not) ? std::make_unique<cuda_solver>() : nullptr;
}

std::unique_ptr<pruner> make_cuda_pruner(std::string& why_not) {
  return is_there(why_not) ? std::make_unique<cuda_pruner>() : nullptr;
}

}  // namespace tool
