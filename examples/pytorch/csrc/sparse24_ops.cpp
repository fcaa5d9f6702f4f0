// The operators of 2:4 in both passes: compressing, and the products of a linear layer.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <mutex>
#include <optional>
#include <vector>

#include "arguments24.hpp"
#include "check.hpp"
#include "find.hpp"
#include "linear.hpp"
#include "tsenor/sparse24/layout.hpp"
#if defined(TSENOR_TORCH_SPARSE24)
#include <ATen/cuda/CUDAGraphsUtils.cuh>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace tsenor_torch {
namespace {

namespace sparse24 = tsenor::sparse24;

void* data_of(const optional_tensor& t) { return t ? t->data_ptr() : nullptr; }

/// Of checked arguments.
compress_request request_of(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                            const optional_tensor& keep, const optional_tensor& mask, const optional_tensor& pruned) {
  compress_request r;
  r.weights = weight.data_ptr();
  r.rows = weight.size(0), r.cols = weight.size(1), r.row_stride = weight.stride(0);
  r.keep = static_cast<const std::uint8_t*>(data_of(keep));
  r.mask = static_cast<std::uint8_t*>(data_of(mask));
  r.pruned = data_of(pruned);
  r.compressed = data_of(compressed);
  r.transposed = data_of(transposed);
  return r;
}

using kept_view = tsenor::matrix_view<const std::uint8_t>;

/// What the call keeps, found if it is not given, and the output of what it prunes.
Tensor kept_on_cpu(const compress_request& r, const Tensor& weight, const optional_tensor& keep,
                   const optional_tensor& mask, const optional_tensor& pruned) {
  const Tensor found = keep ? *keep : mask ? *mask : at::empty(weight.sizes(), weight.options().dtype(at::kBool));
  if (!keep) {
    request f;
    f.pattern = {2, 4};
    f.weights = r.weights, f.rows = r.rows, f.cols = r.cols, f.row_stride = r.row_stride;
    f.mask = static_cast<std::uint8_t*>(found.data_ptr());
    const int threads = at::get_num_threads();
    require(weight.scalar_type() == at::kFloat  ? find_on_cpu<float>(f, threads)
            : weight.scalar_type() == at::kHalf ? find_on_cpu<tsenor::float16>(f, threads)
                                                : find_on_cpu<tsenor::bfloat16>(f, threads));
  }
  if (pruned) pruned->copy_(at::where(found, weight, at::zeros({}, weight.options())));
  return found;
}

/// `scales`: none for operands of the weights' own type.
template <class T, class... Scales>
void write_operands(const compress_request& r, const Tensor& found, const Scales&... scales) {
  const tsenor::matrix_view<const T> weights(static_cast<const T*>(r.weights), r.rows, r.cols, r.row_stride);
  const kept_view kept(static_cast<const std::uint8_t*>(found.data_ptr()), r.rows, r.cols);
  if (r.compressed)
    require(sparse24::compress(weights, kept, sparse24::operand::weights, scales.weights..., r.compressed));
  if (r.transposed)
    require(sparse24::compress(weights, kept, sparse24::operand::transposed, scales.transposed..., r.transposed));
}

void compress_cpu(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                  const optional_tensor& keep, const optional_tensor& mask, const optional_tensor& pruned) {
  check_compress(compressed, transposed, weight, keep, mask, pruned);
  const compress_request r = request_of(compressed, transposed, weight, keep, mask, pruned);
  write_operands<tsenor::float16>(r, kept_on_cpu(r, weight, keep, mask, pruned));
}

sparse24::scale scale_of(const Tensor& scale) { return {scale.const_data_ptr<float>(), scale.numel() > 1}; }
sparse24::scales scales_of(const Tensor& scale, const optional_tensor& transposed_scale) {
  return {scale_of(scale), scale_of(transposed_scale.value_or(scale))};
}

void compress_float8_cpu(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                         const Tensor& scale, const optional_tensor& transposed_scale, const optional_tensor& keep,
                         const optional_tensor& mask, const optional_tensor& pruned) {
  check_compress_float8(compressed, transposed, weight, scale, transposed_scale, keep, mask, pruned);
  const compress_request r = request_of(compressed, transposed, weight, keep, mask, pruned);
  const Tensor found = kept_on_cpu(r, weight, keep, mask, pruned);
  const sparse24::scales by = scales_of(scale, transposed_scale);
  if (weight.scalar_type() == at::kFloat) return write_operands<float>(r, found, by);
  if (weight.scalar_type() == at::kHalf) return write_operands<tsenor::float16>(r, found, by);
  write_operands<tsenor::bfloat16>(r, found, by);
}

Tensor forward_cpu(const Tensor& x, const optional_tensor& pruned, const optional_tensor& compressed,
                   std::int64_t out_features) {
  check_product(x, pruned, compressed, out_features, false);
  TORCH_CHECK_VALUE(pruned, "tsenor: on the CPU the products are dense: give the pruned weights");
  return at::linear(x, *pruned);
}
Tensor input_gradient_cpu(const Tensor& dy, const optional_tensor& pruned, const optional_tensor& transposed,
                          std::int64_t in_features) {
  check_product(dy, pruned, transposed, in_features, true);
  TORCH_CHECK_VALUE(pruned, "tsenor: on the CPU the products are dense: give the pruned weights");
  return at::mm(dy, *pruned);
}

Tensor bytes(std::size_t count, const Tensor& like) {
  return at::empty({std::int64_t(count)}, like.options().dtype(at::kByte));
}

Tensor weight_gradient_cpu(const Tensor& x, const optional_tensor& dy, const optional_tensor& compressed,
                           std::int64_t out_features) {
  check_weight_gradient(x, dy, compressed, out_features);
  if (!compressed) return at::mm(dy->t(), x);
  const Tensor dense = at::empty({out_features, x.size(0)}, x.options());
  require(sparse24::decompress(compressed->data_ptr(), out_features, x.size(0),
                               static_cast<tsenor::bfloat16*>(dense.data_ptr())));
  return at::mm(dense, x);
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def("linear24_weight_gradient(Tensor x, Tensor? dy, Tensor? compressed, SymInt out_features) -> Tensor");
  library.def(
      "sparse24_compress_(Tensor(a!)? compressed, Tensor(b!)? transposed, Tensor weight, Tensor? keep=None, "
      "Tensor(c!)? mask=None, Tensor(d!)? pruned=None) -> ()");
  library.def(
      "sparse24_compress_float8_(Tensor(a!)? compressed, Tensor(b!)? transposed, Tensor weight, Tensor scale, Tensor? "
      "transposed_scale=None, Tensor? keep=None, Tensor(c!)? mask=None, Tensor(d!)? pruned=None) -> ()");
  library.def("linear24_forward(Tensor x, Tensor? pruned, Tensor? compressed, SymInt out_features) -> Tensor");
  library.def("linear24_input_gradient(Tensor dy, Tensor? pruned, Tensor? transposed, SymInt in_features) -> Tensor");
  library.def(
      "linear24_measure(Tensor like, int out_features, int in_features, int tokens, float steps_per_compress=1.0) -> "
      "float[]");
  library.def("linear24_choice(Tensor like, int out_features, int in_features, int tokens) -> float[]");
  library.def(
      "linear24_vendors_compress(Tensor pruned, int out_features, int in_features, int tokens, bool of_transposed) -> "
      "Tensor");
}

TORCH_LIBRARY_IMPL(tsenor, CPU, library) {
  library.impl("sparse24_compress_", &compress_cpu);
  library.impl("sparse24_compress_float8_", &compress_float8_cpu);
  library.impl("linear24_forward", &forward_cpu);
  library.impl("linear24_input_gradient", &input_gradient_cpu);
  library.impl("linear24_weight_gradient", &weight_gradient_cpu);
}

#if defined(TSENOR_TORCH_SPARSE24)

cudaStream_t stream_of(const Tensor& t) { return c10::cuda::getCurrentCUDAStream(t.device().index()); }

void compress_cuda(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                   const optional_tensor& keep, const optional_tensor& mask, const optional_tensor& pruned) {
  check_compress(compressed, transposed, weight, keep, mask, pruned);
  const compress_request r = request_of(compressed, transposed, weight, keep, mask, pruned);
  const c10::cuda::CUDAGuard guard(weight.device());
  require(compress_on_cuda(r, weight.scalar_type() == at::kBFloat16, stream_of(weight)));
}

void compress_float8_cuda(const optional_tensor& compressed, const optional_tensor& transposed, const Tensor& weight,
                          const Tensor& scale, const optional_tensor& transposed_scale, const optional_tensor& keep,
                          const optional_tensor& mask, const optional_tensor& pruned) {
  check_compress_float8(compressed, transposed, weight, scale, transposed_scale, keep, mask, pruned);
  const compress_request r = request_of(compressed, transposed, weight, keep, mask, pruned);
  const weight_type type = weight.scalar_type() == at::kFloat  ? weight_type::float32
                           : weight.scalar_type() == at::kHalf ? weight_type::float16
                                                               : weight_type::bfloat16;
  const c10::cuda::CUDAGuard guard(weight.device());
  require(compress_float8_on_cuda(r, type, scales_of(scale, transposed_scale), stream_of(weight)));
}

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
  library.impl("sparse24_compress_", &compress_cuda);
  library.impl("sparse24_compress_float8_", &compress_float8_cuda);
  library.impl("linear24_forward", &forward_cuda);
  library.impl("linear24_input_gradient", &input_gradient_cuda);
  library.impl("linear24_weight_gradient", &weight_gradient_cuda);
  library.impl("linear24_measure", &measure_cuda);
  library.impl("linear24_choice", &choice_cuda);
  library.impl("linear24_vendors_compress", &vendors_compress_cuda);
}

#endif

}  // namespace
}  // namespace tsenor_torch
