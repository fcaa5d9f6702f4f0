// The pruners' operators on the GPU; their schemas, and what they do on the CPU, are in pruners.py.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <limits>
#include <string>
#include <tuple>

#include "check.hpp"
#include "prune.hpp"

namespace tsenor_torch {
namespace {

using at::Tensor;
namespace prune = tsenor::prune;

struct rule_asked {
  std::string structure, method, constraint, edge;
};

template <class Enum>
Enum one_of(const std::string& word, const char* name, std::initializer_list<std::pair<const char*, Enum>> known) {
  std::string names;
  for (const auto& [text, value] : known) {
    if (word == text) return value;
    names += names.empty() ? text : std::string(", ") + text;
  }
  TORCH_CHECK_VALUE(false, "tsenor: ", name, " must be one of ", names, ", not '", word, "'");
}

prune::sparsity sparsity_of(const rule_asked& a) {
  using prune::structure, tsenor::options, tsenor::constraint, tsenor::edge;
  prune::sparsity rule;
  rule.structure = one_of<structure>(a.structure, "structure",
                                     {{"transposable", structure::transposable},
                                      {"row-wise", structure::row_wise},
                                      {"row-then-column", structure::row_then_column}});
  const bool optimal = one_of<bool>(a.method, "method", {{"optimal", true}, {"published", false}});
  rule.search = optimal ? options::optimal() : options::published();
  rule.search.constraint = one_of<constraint>(a.constraint, "constraint",
                                              {{"exactly", constraint::exactly}, {"at_most", constraint::at_most}});
  rule.search.edge = one_of<edge>(a.edge, "edge", {{"reject", edge::reject}, {"partial", edge::partial}});
  return rule;
}

/// PyTorch's handles, which are set to the current stream of the current device.
prune::handles current_handles(bool with_solver) {
  prune::handles on;
  on.blas = at::cuda::getCurrentCUDABlasHandle();
  if (with_solver) on.solver = at::cuda::getCurrentCUDASolverDnHandle();
  on.stream = at::cuda::getCurrentCUDAStream();
  return on;
}

void require_gram(const Tensor& gram, std::int64_t inputs, const Tensor& like) {
  TORCH_CHECK_VALUE(gram.scalar_type() == at::kFloat && gram.is_contiguous() && gram.dim() == 2 &&
                        gram.size(0) == inputs && gram.size(1) == inputs && gram.device() == like.device(),
                    "tsenor: gram must be contiguous, float32 [", inputs, ", ", inputs, "] on ", like.device(),
                    ", not ", gram.scalar_type(), " ", gram.sizes(), " on ", gram.device());
}

Tensor bytes(std::size_t count, const Tensor& like) {
  return at::empty({std::int64_t(count)}, like.options().dtype(at::kByte));
}

/// A call: its request, and its mask. What PyTorch's allocator gives is reused in the order of the current stream.
struct call {
  c10::cuda::CUDAGuard guard;
  Tensor weight, mask;
  prune_request request;

  call(const Tensor& weight_, std::int64_t n, std::int64_t m, const rule_asked& rule, bool with_solver)
      : guard(weight_.device()), weight(weight_) {
    TORCH_CHECK_VALUE(
        weight.dim() == 2 && weight.scalar_type() == at::kFloat && (weight.size(1) <= 1 || weight.stride(1) == 1),
        "tsenor: weight must be float32 [out, in] with contiguous rows, not ", weight.scalar_type(), " ",
        weight.sizes());
    TORCH_CHECK_VALUE(m >= tsenor::min_tile && m <= tsenor::max_tile && n >= 1 && n <= m,
                      "tsenor: unsupported pattern ", n, ":", m, ": choose 1 <= n <= m and 2 <= m <= 64");
    request.pattern = {int(n), int(m)};
    request.rule = sparsity_of(rule);
    mask = at::empty(weight.sizes(), weight.options().dtype(at::kBool));
    request.weights = weight.data_ptr<float>();
    request.rows = weight.size(0), request.cols = weight.size(1);
    request.row_stride = request.rows > 1 ? weight.stride(0) : request.cols;
    request.mask = static_cast<std::uint8_t*>(mask.data_ptr());
    request.on = current_handles(with_solver);
  }
};

void gram_cuda(const Tensor& gram, const Tensor& inputs) {
  TORCH_CHECK_VALUE(inputs.dim() == 2, "tsenor: inputs must be [tokens, in], not ", inputs.sizes());
  require_gram(gram, inputs.size(1), inputs);
  const c10::cuda::CUDAGuard guard(inputs.device());
  const Tensor x = inputs.to(at::kFloat).contiguous();
  const tsenor::matrix_view<const float> view(x.const_data_ptr<float>(), x.size(0), x.size(1));
  require(accumulate_gram(current_handles(false), view, gram.data_ptr<float>()));
}

Tensor magnitude_cuda(const Tensor& weight, std::int64_t n, std::int64_t m, std::string structure, std::string method,
                      std::string constraint, std::string edge) {
  const call c(weight, n, m, {structure, method, constraint, edge}, false);
  require(magnitude(c.request));
  return c.mask;
}

Tensor wanda_cuda(const Tensor& weight, const Tensor& gram, std::int64_t n, std::int64_t m, std::string structure,
                  std::string method, std::string constraint, std::string edge) {
  const call c(weight, n, m, {structure, method, constraint, edge}, false);
  require_gram(gram, c.request.cols, weight);
  const Tensor norms = at::empty({c.request.cols}, weight.options());
  require(wanda(c.request, gram.const_data_ptr<float>(), norms.data_ptr<float>()));
  return c.mask;
}

Tensor sparsegpt_cuda(const Tensor& weight, const Tensor& gram, std::int64_t n, std::int64_t m, std::int64_t tokens,
                      double damping, std::string structure, std::string method, std::string constraint,
                      std::string edge) {
  const call c(weight, n, m, {structure, method, constraint, edge}, true);
  require_gram(gram, c.request.cols, weight);
  const sparsegpt_parameters parameters{tokens, damping};
  std::size_t size = 0;
  require(sparsegpt_memory(c.request, parameters, &size));
  const Tensor memory = bytes(size, weight);
  require(sparsegpt(c.request, gram.const_data_ptr<float>(), parameters, {memory.data_ptr(), size}));
  return c.mask;
}

Tensor alps_inputs_cuda(const Tensor& gram, double damping) {
  require_gram(gram, gram.size(0), gram);
  const c10::cuda::CUDAGuard guard(gram.device());
  const prune::handles on = current_handles(true);
  std::size_t size = 0;
  require(alps_prepare_memory(on, gram.size(0), &size));
  const Tensor memory = bytes(size, gram), inputs = bytes(alps_inputs_size(gram.size(0)), gram);
  require(alps_prepare(on, gram.const_data_ptr<float>(), gram.size(0), inputs.data_ptr(), {memory.data_ptr(), size},
                       damping));
  return inputs;
}

std::tuple<Tensor, std::int64_t> alps_cuda(const Tensor& weight, const Tensor& inputs, std::int64_t n, std::int64_t m,
                                           std::int64_t iterations, std::string structure, std::string method,
                                           std::string constraint, std::string edge) {
  const call c(weight, n, m, {structure, method, constraint, edge}, false);
  TORCH_CHECK_VALUE(inputs.scalar_type() == at::kByte && inputs.device() == weight.device() &&
                        inputs.numel() == std::int64_t(alps_inputs_size(c.request.cols)),
                    "tsenor: alps_ takes what alps_inputs returns for ", c.request.cols, " inputs, on ",
                    weight.device());
  const auto most = std::min<std::int64_t>(iterations, std::numeric_limits<int>::max());
  std::size_t size = 0;
  require(alps_memory(c.request, &size));
  const Tensor memory = bytes(size, weight);
  int taken = 0;
  require(alps(c.request, inputs.data_ptr(), int(most), {memory.data_ptr(), size}, &taken));
  return {c.mask, taken};
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
