// What this library was built for, and in one without CUDA what operators say to CUDA tensors.
#include <torch/library.h>
#include <torch/version.h>

#include <string>

#include "tsenor/version.hpp"
#if defined(TSENOR_TORCH_CUDA)
#include <cuda_runtime_api.h>

#include "architectures.hpp"
#endif
#if defined(TSENOR_TORCH_SPARSE24)
#include "linear.hpp"
#endif

namespace tsenor_torch {
namespace {

/// version, PyTorch's version, CUDA's version and architectures ("" without), the version of cuSPARSELt that is loaded
/// ("" where there are no 2:4 products).
std::vector<std::string> build_info() {
  const auto dotted = [](int major, int minor) { return std::to_string(major) + "." + std::to_string(minor); };
  const std::string version =
      dotted(TSENOR_VERSION_MAJOR, TSENOR_VERSION_MINOR) + "." + std::to_string(TSENOR_VERSION_PATCH);
  std::vector<std::string> info = {version, TORCH_VERSION, "", "", ""};
#if defined(TSENOR_TORCH_CUDA)
  info[2] = dotted(CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  info[3] = cuda_architectures();
#endif
#if defined(TSENOR_TORCH_SPARSE24)
  info[4] = cusparselt_version();
#endif
  return info;
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) { library.def("build_info() -> str[]", &build_info); }

#if !defined(TSENOR_TORCH_SPARSE24)
void refuse(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack*) {
#if defined(TSENOR_TORCH_CUDA)
  TORCH_CHECK(
      false, op.schema().name(), ": tsenor_torch was built without 2:4 products, because cuSPARSELt was not found: ",
      "install nvidia-cusparselt and build again with pip install --no-build-isolation --force-reinstall --no-deps");
#else
  TORCH_CHECK(
      false, op.schema().name(),
      ": the tensors are on a GPU, but tsenor_torch was built for the CPU only: build it again on a machine ",
      "with nvcc: TSENOR_TORCH_CUDA=1 pip install --no-build-isolation --force-reinstall --no-deps -v. It says ",
      "what is missing");
#endif
}

TORCH_LIBRARY_IMPL(tsenor, CUDA, library) {
#if !defined(TSENOR_TORCH_CUDA)
  for (const char* name : {"find_mask", "find_mask_", "prune_", "find_mask_host_seconds", "gram_", "magnitude_",
                           "wanda_", "sparsegpt_", "alps_inputs", "alps_"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&refuse>());
#endif
  for (const char* name : {"sparse24_compress_", "sparse24_compress_float8_", "sparse24_mvue", "linear24_forward",
                           "linear24_input_gradient", "linear24_weight_gradient", "linear24_measure", "linear24_choice",
                           "linear24_vendors_compress"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&refuse>());
}
#endif

}  // namespace
}  // namespace tsenor_torch
