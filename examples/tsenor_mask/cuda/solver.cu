#include <cuda_runtime.h>

#include "../solver.hpp"

namespace tool {

template <class Weight>
solution find_on_cuda(const Weight* weights, const matrix& m, const task& t, const settings& s);  // find.cuh

namespace {

class cuda_solver : public solver {
 public:
  const char* device() const override { return "cuda"; }
  solution solve(matrix& m, const task& t, const settings& s) override {
    return find_in_floats(m, [&](const auto* weights) { return find_on_cuda(weights, m, t, s); });
  }
};

}  // namespace

std::unique_ptr<solver> make_cuda_solver(std::string& why_not) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return std::make_unique<cuda_solver>();
  cudaGetLastError();  // what was found is reported here; later calls start clean
  why_not =
      std::string("there is no CUDA device (") + cudaGetErrorString(error) + "); check nvidia-smi, or use --device cpu";
  return nullptr;
}

}  // namespace tool
