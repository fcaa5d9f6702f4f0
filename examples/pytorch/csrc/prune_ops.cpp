// The pruners' operators on the GPU; their schemas, and what they do on the CPU, are in pruners.py and alps.py.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <string>
#include <tuple>

#include "arguments_prune.hpp"
#include "check.hpp"
#include "prune.hpp"

namespace tsenor_torch {
namespace {

using at::Tensor;
namespace prune = tsenor::prune;

/// PyTorch's handles, which are set to the current stream of the current device.
prune::handles current_handles(bool with_solver) {
  prune::handles on;
  on.blas = at::cuda::getCurrentCUDABlasHandle();
  if (with_solver) on.solver = at::cuda::getCurrentCUDASolverDnHandle();
  on.stream = at::cuda::getCurrentCUDAStream();
  return on;
}

/// A call, its arguments checked. The pruners want contiguous rows: other weights are pruned in a copy, which finish
/// writes back. What PyTorch's allocator gives is reused in the order of the current stream.
struct call {
  c10::cuda::CUDAGuard guard;
  Tensor given, weight, mask;
  prune_request request;

  call(const Tensor& weight_, const pruning& p, bool with_solver) : guard(weight_.device()), given(weight_) {
    const bool fits = given.size(1) <= 1 || (given.stride(1) == 1 && given.stride(0) >= given.size(1));
    weight = fits ? given : at::empty(given.sizes(), given.options()).copy_(given);
    request.pattern = {int(p.n), int(p.m)};
    request.rule = sparsity_of(p);
    mask = at::empty(weight.sizes(), weight.options().dtype(at::kBool));
    request.weights = weight.data_ptr<float>();
    request.rows = weight.size(0), request.cols = weight.size(1);
    request.row_stride = request.rows > 1 ? weight.stride(0) : request.cols;
    request.mask = static_cast<std::uint8_t*>(mask.data_ptr());
    request.on = current_handles(with_solver);
  }

  Tensor finish() const {
    if (!weight.is_same(given)) given.copy_(weight);
    return mask;
  }
};

void gram_cuda(const Tensor& gram, const Tensor& inputs) {
  check_gram(gram, inputs);
  const c10::cuda::CUDAGuard guard(inputs.device());
  const Tensor x = inputs.to(at::kFloat).contiguous(), sum = gram.contiguous();
  const tsenor::matrix_view<const float> view(x.const_data_ptr<float>(), x.size(0), x.size(1));
  require(accumulate_gram(current_handles(false), view, sum.data_ptr<float>()));
  if (!sum.is_same(gram)) gram.copy_(sum);
}

Tensor magnitude_cuda(const Tensor& weight, std::int64_t n, std::int64_t m, std::string structure, std::string method,
                      std::string constraint, std::string edge) {
  const pruning p{n, m, structure, method, constraint, edge};
  check_prune(weight, std::nullopt, p);
  const call c(weight, p, false);
  require(magnitude(c.request));
  return c.finish();
}

Tensor wanda_cuda(const Tensor& weight, const Tensor& gram, std::int64_t n, std::int64_t m, std::string structure,
                  std::string method, std::string constraint, std::string edge) {
  const pruning p{n, m, structure, method, constraint, edge};
  check_prune(weight, gram, p);
  const call c(weight, p, false);
  const Tensor norms = at::empty({c.request.cols}, weight.options()), dense = gram.contiguous();
  require(wanda(c.request, dense.const_data_ptr<float>(), norms.data_ptr<float>()));
  return c.finish();
}

Tensor sparsegpt_cuda(const Tensor& weight, const Tensor& gram, std::int64_t n, std::int64_t m, std::int64_t tokens,
                      double damping, std::string structure, std::string method, std::string constraint,
                      std::string edge) {
  const pruning p{n, m, structure, method, constraint, edge};
  check_prune(weight, gram, p, tokens, damping);
  const call c(weight, p, true);
  const sparsegpt_parameters parameters{tokens, damping};
  std::size_t size = 0;
  require(sparsegpt_memory(c.request, parameters, &size));
  const Tensor memory = bytes(size, weight), dense = gram.contiguous();
  require(sparsegpt(c.request, dense.const_data_ptr<float>(), parameters, {memory.data_ptr(), size}));
  return c.finish();
}

Tensor alps_inputs_cuda(const Tensor& gram, double damping) {
  check_alps_inputs(gram, damping);
  const c10::cuda::CUDAGuard guard(gram.device());
  const prune::handles on = current_handles(true);
  const std::int64_t cols = gram.size(0), given = alps_inputs_bytes(cols).expect_int();
  TORCH_INTERNAL_ASSERT(alps_inputs_size(cols) <= std::size_t(given));
  std::size_t size = 0;
  require(alps_prepare_memory(on, cols, &size));
  const Tensor memory = bytes(size, gram), dense = gram.contiguous();
  const Tensor inputs = bytes(given, gram).zero_();  // what lies between its parts, too: equal calls return equal bytes
  require(alps_prepare(on, dense.const_data_ptr<float>(), cols, inputs.data_ptr(), {memory.data_ptr(), size}, damping));
  return inputs;
}

std::tuple<Tensor, Tensor> alps_cuda(const Tensor& weight, const Tensor& inputs, std::int64_t n, std::int64_t m,
                                     std::int64_t iterations, std::string structure, std::string method,
                                     std::string constraint, std::string edge) {
  const pruning p{n, m, structure, method, constraint, edge};
  check_alps(weight, inputs, p, iterations);
  const call c(weight, p, false);
  std::size_t size = 0;
  require(alps_memory(c.request, &size));
  const Tensor memory = bytes(size, weight);
  int taken = 0;
  require(alps(c.request, inputs.data_ptr(), int(iterations), {memory.data_ptr(), size}, &taken));
  return {c.finish(), at::full({}, taken, weight.options().dtype(at::kLong))};
}

TORCH_LIBRARY_IMPL(tsenor, CUDA, library) {
  library.impl("gram_", &gram_cuda);
  library.impl("magnitude_", &magnitude_cuda);
  library.impl("wanda_", &wanda_cuda);
  library.impl("sparsegpt_", &sparsegpt_cuda);
  library.impl("alps_inputs", &alps_inputs_cuda);
  library.impl("alps_", &alps_cuda);
}

}  // namespace
}  // namespace tsenor_torch
