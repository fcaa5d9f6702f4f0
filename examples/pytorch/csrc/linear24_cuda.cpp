// The products of a linear layer on GPUs, dense or by cuSPARSELt's 2:4 kernels.
#if defined(TSENOR_TORCH_SPARSE24)
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraphsUtils.cuh>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <mutex>
#include <vector>

#include "arguments24.hpp"
#include "check.hpp"
#include "linear.hpp"

namespace tsenor_torch {
namespace {

/// The products for a tensor's device and type, for one thread at a time: the backward pass has a thread of its own.
struct locked_products {
  explicit locked_products(const Tensor& like) : lock(mutex), guard(like.device()) {
    check_16_bits(like, "x");
    tsenor::status why;
    products = linear_products_of(like.device().index(), like.scalar_type() == at::kBFloat16, &why);
    require(why);
  }
  linear_products* operator->() const { return products; }

  static inline std::mutex mutex;
  std::lock_guard<std::mutex> lock;
  c10::cuda::CUDAGuard guard;
  linear_products* products = nullptr;
};

void measure(const locked_products& products, const Tensor& like, const layer_sizes& s, double steps_per_compress) {
  TORCH_CHECK(at::cuda::currentStreamCaptureStatus() == at::cuda::CaptureStatus::None,
              "tsenor: this shape of linear24 has not been measured: run a step before the graph is captured");
  std::size_t scratch = 0;
  require(products->plan(s, &scratch));
  require(products->measure(s, bytes(scratch, like).data_ptr(), steps_per_compress, stream_of(like)));
}

/// The workspace for a shape, which is measured first if it is new.
Tensor workspace_of(const locked_products& products, const Tensor& like, const layer_sizes& s) {
  double numbers[choice_numbers];
  std::size_t workspace = 0;
  if (!products->choice(s, numbers, &workspace)) {
    measure(products, like, s, 1);
    products->choice(s, numbers, &workspace);
  }
  return bytes(workspace, like);
}

Tensor forward_cuda(const Tensor& x, const optional_tensor& pruned, const optional_tensor& compressed,
                    std::int64_t out_features) {
  check_product(x, pruned, compressed, out_features, false);
  const layer_sizes s{out_features, x.size(1), x.size(0)};
  const locked_products products(x);
  const Tensor workspace = workspace_of(products, x, s), y = at::empty({s.tokens, s.out_features}, x.options());
  require(products->forward(s, x.data_ptr(), data_of(pruned), data_of(compressed), y.data_ptr(), workspace.data_ptr(),
                            stream_of(x)));
  return y;
}

Tensor input_gradient_cuda(const Tensor& dy, const optional_tensor& pruned, const optional_tensor& transposed,
                           std::int64_t in_features) {
  check_product(dy, pruned, transposed, in_features, true);
  const layer_sizes s{dy.size(1), in_features, dy.size(0)};
  const locked_products products(dy);
  const Tensor workspace = workspace_of(products, dy, s), dx = at::empty({s.tokens, s.in_features}, dy.options());
  require(products->input_gradient(s, dy.data_ptr(), data_of(pruned), data_of(transposed), dx.data_ptr(),
                                   workspace.data_ptr(), stream_of(dy)));
  return dx;
}

Tensor weight_gradient_cuda(const Tensor& x, const optional_tensor& dy, const optional_tensor& compressed,
                            std::int64_t out_features) {
  check_weight_gradient(x, dy, compressed, out_features);
  const layer_sizes s{out_features, x.size(1), x.size(0)};
  const locked_products products(x);
  const Tensor workspace = workspace_of(products, x, s), dw = at::empty({out_features, x.size(1)}, x.options());
  require(products->weight_gradient(s, x.data_ptr(), data_of(dy), data_of(compressed), dw.data_ptr(),
                                    workspace.data_ptr(), stream_of(x)));
  return dw;
}

std::vector<double> choice_cuda(const Tensor& like, std::int64_t out_features, std::int64_t in_features,
                                std::int64_t tokens) {
  std::vector<double> numbers(choice_numbers);
  std::size_t workspace = 0;
  const locked_products products(like);
  const bool known = products->choice({out_features, in_features, tokens}, numbers.data(), &workspace);
  return known ? numbers : std::vector<double>{};
}

std::vector<double> measure_cuda(const Tensor& like, std::int64_t out_features, std::int64_t in_features,
                                 std::int64_t tokens, double steps_per_compress) {
  measure(locked_products(like), like, {out_features, in_features, tokens}, steps_per_compress);
  return choice_cuda(like, out_features, in_features, tokens);
}

Tensor vendors_compress_cuda(const Tensor& pruned, std::int64_t out_features, std::int64_t in_features,
                             std::int64_t tokens, bool of_transposed) {
  const layer_sizes s{out_features, in_features, tokens};
  check_dense(pruned, "pruned",
              {of_transposed ? in_features : out_features, of_transposed ? out_features : in_features},
              pruned.scalar_type(), pruned);
  const locked_products products(pruned);
  std::size_t size = 0, buffer = 0;
  require(products->vendors_size(s, of_transposed, &size, &buffer));
  const Tensor compressed = bytes(size, pruned), scratch = bytes(buffer, pruned);
  require(products->vendors_compress(s, of_transposed, pruned.data_ptr(), compressed.data_ptr(), scratch.data_ptr(),
                                     stream_of(pruned)));
  return compressed;
}

TORCH_LIBRARY_IMPL(tsenor, CUDA, library) {
  library.impl("linear24_forward", &forward_cuda);
  library.impl("linear24_input_gradient", &input_gradient_cuda);
  library.impl("linear24_weight_gradient", &weight_gradient_cuda);
  library.impl("linear24_measure", &measure_cuda);
  library.impl("linear24_choice", &choice_cuda);
  library.impl("linear24_vendors_compress", &vendors_compress_cuda);
}

}  // namespace
}  // namespace tsenor_torch

#endif
