// The operators of 2:4 in both passes: compressing, and on the CPU the products of a linear layer (on GPUs
// linear24_cuda.cpp).
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
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
#include "tsenor/sparse24/mvue.hpp"
#if defined(TSENOR_TORCH_SPARSE24)
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraphsUtils.cuh>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace tsenor_torch {
namespace {

namespace sparse24 = tsenor::sparse24;

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

using optional_generator = std::optional<at::Generator>;
using optional_seed = std::optional<std::int64_t>;

/// Where an estimate of dy^T goes.
Tensor room_for_mvue(const Tensor& dy) {
  check_mvue(dy);
  return bytes(sparse24::compressed_size(dy.size(0), dy.size(1)), dy);
}

Tensor mvue_cpu(const Tensor& dy, const optional_generator& generator, optional_seed seed) {
  const Tensor compressed = room_for_mvue(dy);
  if (!seed) {
    auto* drawn = at::get_generator_or_default<at::CPUGeneratorImpl>(generator, at::detail::getDefaultCPUGenerator());
    const std::lock_guard<std::mutex> lock(drawn->mutex_);
    seed = std::int64_t(drawn->random64());
  }
  const auto call = [&](auto* typed) {
    return sparse24::compress_mvue(tsenor::matrix_view(typed, dy.size(0), dy.size(1)), compressed.data_ptr(),
                                   {std::uint64_t(*seed), 0});
  };
  require(dy.scalar_type() == at::kHalf ? call(static_cast<const tsenor::float16*>(dy.data_ptr()))
                                        : call(static_cast<const tsenor::bfloat16*>(dy.data_ptr())));
  return compressed;
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
  library.def("sparse24_mvue(Tensor dy, *, Generator? generator=None, int? seed=None) -> Tensor",
              {at::Tag::nondeterministic_seeded});
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
  library.impl("sparse24_mvue", &mvue_cpu);
  library.impl("linear24_weight_gradient", &weight_gradient_cpu);
}

#if defined(TSENOR_TORCH_SPARSE24)

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

/// The numbers that come next in PyTorch's generator, of each replay where a graph is captured.
sparse24::random_state next_numbers(const optional_generator& generator) {
  auto* drawn =
      at::get_generator_or_default<at::CUDAGeneratorImpl>(generator, at::cuda::detail::getDefaultCUDAGenerator());
  const std::lock_guard<std::mutex> lock(drawn->mutex_);
  const at::PhiloxCudaState state = drawn->philox_cuda_state(sparse24::mvue_numbers);
  if (!state.captured_) return {state.seed_.val, state.offset_.val};
  return {0, state.offset_intragraph_, state.seed_.ptr, state.offset_.ptr};
}

Tensor mvue_cuda(const Tensor& dy, const optional_generator& generator, optional_seed seed) {
  const c10::cuda::CUDAGuard guard(dy.device());
  const Tensor compressed = room_for_mvue(dy);
  const sparse24::random_state random =
      seed ? sparse24::random_state{std::uint64_t(*seed), 0} : next_numbers(generator);
  require(compress_mvue_on_cuda(dy.data_ptr(), dy.size(0), dy.size(1), compressed.data_ptr(), random,
                                dy.scalar_type() == at::kBFloat16, stream_of(dy)));
  return compressed;
}

TORCH_LIBRARY_IMPL(tsenor, CUDA, library) {
  library.impl("sparse24_compress_", &compress_cuda);
  library.impl("sparse24_compress_float8_", &compress_float8_cuda);
  library.impl("sparse24_mvue", &mvue_cuda);
}

#endif

}  // namespace
}  // namespace tsenor_torch
