// The operators of find_mask: what Python hands over as a request, and the device it runs on.
#include <ATen/ATen.h>
#include <ATen/DeviceGuard.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <chrono>
#include <optional>
#include <string>

#include "check.hpp"
#include "find.hpp"
#if defined(TSENOR_TORCH_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

namespace tsenor_torch {
namespace {

using at::Tensor;
using optional_tensor = std::optional<Tensor>;

struct asked {
  std::int64_t n, m;
  std::string method, constraint, edge;
};

template <class Enum>
Enum one_of(const std::string& word, const char* name, const char* first, Enum first_value, const char* second,
            Enum second_value) {
  if (word == first) return first_value;
  TORCH_CHECK_VALUE(word == second, "tsenor: ", name, " must be '", first, "' or '", second, "', not '", word, "'");
  return second_value;
}

tsenor::options options_of(const asked& a) {
  using tsenor::options, tsenor::constraint, tsenor::edge;
  options o = one_of(a.method, "method", "optimal", options::optimal(), "published", options::published());
  o.constraint = one_of(a.constraint, "constraint", "exactly", constraint::exactly, "at_most", constraint::at_most);
  o.edge = one_of(a.edge, "edge", "reject", edge::reject, "partial", edge::partial);
  return o;
}

void require_matrix(const Tensor& t, const char* name) {
  TORCH_CHECK_VALUE(t.dim() == 2 || t.dim() == 3, "tsenor: ", name,
                    " must be [rows, cols] or [batch, rows, cols], not ", t.sizes());
  TORCH_CHECK_VALUE(t.size(-1) <= 1 || t.stride(-1) == 1, "tsenor: the last dimension of ", name,
                    " must be contiguous (stride 1, not ", t.stride(-1), "): call .contiguous()");
}
std::int64_t batch_of(const Tensor& t) { return t.dim() == 3 ? t.size(0) : 1; }
std::int64_t batch_stride_of(const Tensor& t) {
  return t.dim() == 3 && t.size(0) > 1 ? t.stride(0) : t.size(-2) * t.stride(-2);
}
std::int64_t row_stride_of(const Tensor& t) { return t.size(-2) > 1 ? t.stride(-2) : t.size(-1); }

std::int64_t tiles_of(const Tensor& weight, std::int64_t m) {
  return batch_of(weight) * ((weight.size(-2) + m - 1) / m) * ((weight.size(-1) + m - 1) / m);
}

request request_of(const Tensor& weight, const asked& a, const optional_tensor& column_norms) {
  require_matrix(weight, "weight");
  TORCH_CHECK_VALUE(a.m >= tsenor::min_tile && a.m <= tsenor::max_tile && a.n >= 1 && a.n <= a.m,
                    "tsenor: unsupported pattern ", a.n, ":", a.m, ": choose 1 <= n <= m and 2 <= m <= 64");
  request r;
  r.pattern = {int(a.n), int(a.m)};
  r.options = options_of(a);
  r.weights = weight.data_ptr();
  r.batch = batch_of(weight), r.rows = weight.size(-2), r.cols = weight.size(-1);
  r.batch_stride = batch_stride_of(weight), r.row_stride = row_stride_of(weight);
  if (column_norms) {
    TORCH_CHECK_VALUE(column_norms->scalar_type() == at::kFloat && column_norms->is_contiguous() &&
                          column_norms->numel() == r.cols && column_norms->device() == weight.device(),
                      "tsenor: column_norms must be a contiguous float32 tensor with ", r.cols, " elements on ",
                      weight.device());
    r.column_norms = column_norms->const_data_ptr<float>();
  }
  return r;
}

void write_mask(request& r, const Tensor& mask, const Tensor& weight) {
  require_matrix(mask, "mask");
  TORCH_CHECK_VALUE(mask.sizes() == weight.sizes() && mask.device() == weight.device() &&
                        (mask.scalar_type() == at::kBool || mask.scalar_type() == at::kByte),
                    "tsenor: mask must be bool or uint8, ", weight.sizes(), " on ", weight.device());
  r.mask = {static_cast<std::uint8_t*>(mask.data_ptr()), row_stride_of(mask), batch_stride_of(mask)};
}

void use_prices(request& r, const Tensor& prices, const Tensor& weight, bool warm) {
  TORCH_CHECK_VALUE(prices.scalar_type() == at::kFloat && prices.is_contiguous() &&
                        prices.device() == weight.device() &&
                        prices.numel() == tiles_of(weight, r.pattern.m) * 2 * r.pattern.m,
                    "tsenor: prices must be a contiguous float32 tensor [", tiles_of(weight, r.pattern.m), ", 2, ",
                    r.pattern.m, "] on ", weight.device());
  r.prices = prices.data_ptr<float>();
  r.options.start = warm ? tsenor::start::warm : tsenor::start::cold;
}

/// The library's call, where the weights are: on the current stream, or on PyTorch's number of threads.
tsenor::status find(const request& r, const Tensor& weight) {
  const at::ScalarType type = weight.scalar_type();
  if (weight.is_cpu()) {
    const int threads = at::get_num_threads();
    return type == at::kFloat  ? find_on_cpu<float>(r, threads)
           : type == at::kHalf ? find_on_cpu<tsenor::float16>(r, threads)
                               : find_on_cpu<tsenor::bfloat16>(r, threads);
  }
#if defined(TSENOR_TORCH_CUDA)
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream(weight.device().index());
  const auto on_cuda = [&](auto value) {
    using Weight = decltype(value);
    return r.column_norms ? find_by_wanda_on_cuda<Weight>(r, stream) : find_by_magnitude_on_cuda<Weight>(r, stream);
  };
  return type == at::kFloat  ? on_cuda(float{})
         : type == at::kHalf ? on_cuda(tsenor::float16{})
                             : on_cuda(tsenor::bfloat16{});
#else
  return {tsenor::status_code::no_device, "built without CUDA"};
#endif
}

void run(const request& r, const Tensor& weight) {
  const at::ScalarType type = weight.scalar_type();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kHalf || type == at::kBFloat16,
                   "tsenor: weight must be float32, float16 or bfloat16, not ", type);
  const at::OptionalDeviceGuard guard(weight.device());
  require(find(r, weight));
}

std::tuple<Tensor, Tensor> find_mask(const Tensor& weight, std::int64_t n, std::int64_t m, std::string method,
                                     std::string constraint, std::string edge, const optional_tensor& column_norms,
                                     bool with_report) {
  request r = request_of(weight, {n, m, method, constraint, edge}, column_norms);
  const Tensor mask = at::empty(weight.sizes(), weight.options().dtype(at::kBool));
  constexpr std::int64_t words = sizeof(tsenor::tile_report) / sizeof(double);
  const Tensor report = at::empty({with_report ? tiles_of(weight, m) : 0, words}, weight.options().dtype(at::kDouble));
  write_mask(r, mask, weight);
  if (with_report) r.reports = static_cast<tsenor::tile_report*>(report.data_ptr());
  run(r, weight);
  return {mask, report};
}

void find_mask_(Tensor mask, const Tensor& weight, std::int64_t n, std::int64_t m, std::string method,
                std::string constraint, std::string edge, const optional_tensor& column_norms,
                const optional_tensor& prices, bool warm) {
  request r = request_of(weight, {n, m, method, constraint, edge}, column_norms);
  TORCH_CHECK_VALUE(!warm || prices, "tsenor: warm=True needs prices, those of an earlier call");
  write_mask(r, mask, weight);
  if (prices) use_prices(r, *prices, weight, warm);
  run(r, weight);
}

void prune_(Tensor weight, std::int64_t n, std::int64_t m, std::string method, std::string constraint, std::string edge,
            const optional_tensor& column_norms, const optional_tensor& mask) {
  request r = request_of(weight, {n, m, method, constraint, edge}, column_norms);
  r.prune = true;
  if (mask) write_mask(r, *mask, weight);
  run(r, weight);
}

/// Host seconds of the library's calls alone, so many of them: what is more in find_mask_ is PyTorch's and this file's.
double host_seconds(const Tensor& mask, const Tensor& weight, std::int64_t n, std::int64_t m, std::int64_t calls) {
  request r = request_of(weight, {n, m, "optimal", "exactly", "reject"}, std::nullopt);
  write_mask(r, mask, weight);
  run(r, weight);  // checks
  const at::OptionalDeviceGuard guard(weight.device());
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t k = 0; k < calls; ++k) require(find(r, weight));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

const std::string options =
    "str method='optimal', str constraint='exactly', str edge='reject', Tensor? column_norms=None";

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  const std::string weight = "Tensor weight, int n, int m, *, " + options;
  library.def(("find_mask(" + weight + ", bool with_report=False) -> (Tensor mask, Tensor report)").c_str());
  library.def(("find_mask_(Tensor(a!) mask, " + weight + ", Tensor(b!)? prices=None, bool warm=False) -> ()").c_str());
  library.def(("prune_(Tensor(a!) weight, int n, int m, *, " + options + ", Tensor(b!)? mask=None) -> ()").c_str());
  library.def("find_mask_host_seconds(Tensor(a!) mask, Tensor weight, int n, int m, int calls) -> float");
}

TORCH_LIBRARY_IMPL(tsenor, CPU, library) {
  library.impl("find_mask", &find_mask);
  library.impl("find_mask_", &find_mask_);
  library.impl("prune_", &prune_);
  library.impl("find_mask_host_seconds", &host_seconds);
}

#if defined(TSENOR_TORCH_CUDA)
TORCH_LIBRARY_IMPL(tsenor, CUDA, library) {
  library.impl("find_mask", &find_mask);
  library.impl("find_mask_", &find_mask_);
  library.impl("prune_", &prune_);
  library.impl("find_mask_host_seconds", &host_seconds);
}
#endif

}  // namespace
}  // namespace tsenor_torch
