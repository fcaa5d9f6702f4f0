// The operators of find_mask: what Python hands over as a request, and the device it runs on.
#include <ATen/ATen.h>
#include <ATen/DeviceGuard.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <chrono>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "check.hpp"
#include "find.hpp"
#include "layout.hpp"

namespace tsenor_torch {
namespace {

/// The library's call, where the weights are: on the current stream, or on PyTorch's number of threads.
tsenor::status find(const request& r, const Tensor& like) {
  const at::ScalarType type = like.scalar_type();
  if (like.is_cpu()) {
    const int threads = at::get_num_threads();
    return type == at::kFloat    ? find_on_cpu<float>(r, threads)
           : type == at::kDouble ? find_on_cpu<double>(r, threads)
           : type == at::kHalf   ? find_on_cpu<tsenor::float16>(r, threads)
                                 : find_on_cpu<tsenor::bfloat16>(r, threads);
  }
#if defined(TSENOR_TORCH_CUDA)
  cudaStream_t stream = stream_of(like);
  return type == at::kFloat    ? find_on_cuda<float>(r, stream)
         : type == at::kDouble ? find_on_cuda<double>(r, stream)
         : type == at::kHalf   ? find_on_cuda<tsenor::float16>(r, stream)
                               : find_on_cuda<tsenor::bfloat16>(r, stream);
#else
  return {tsenor::status_code::no_device, "built without CUDA"};
#endif
}

/// A call, its tensors checked. What is undefined is not wanted.
struct search {
  const Tensor& values;  // the weights, or what they are worth
  const asked& pattern;
  bool as_it_is = false, warm = false;
  bool prune = false;  // the values in place, whose layout fits
  Tensor column_norms, mask, report, prices;
};

request request_of(const search& s, const Tensor& matrices) {
  request r;
  r.pattern = {int(s.pattern.n), int(s.pattern.m)};
  r.options = options_of(s.pattern);
  r.options.start = s.warm ? tsenor::start::warm : tsenor::start::cold;
  r.weights = s.prune ? matrices.mutable_data_ptr() : const_cast<void*>(matrices.const_data_ptr());
  r.batch = matrices.size(0), r.rows = matrices.size(1), r.cols = matrices.size(2);
  r.batch_stride = batch_stride_of(matrices), r.row_stride = row_stride_of(matrices);
  r.prune = s.prune;
  r.as_it_is = s.as_it_is;
  return r;
}

/// What `[tiles, ...]` holds of rows x cols tiles of each matrix, in the order that the transposed matrices have.
Tensor transposed_tiles(const Tensor& t, std::int64_t batch, std::int64_t rows, std::int64_t cols) {
  return t.unflatten(0, {batch, rows, cols}).transpose(1, 2).flatten(0, 2);
}

void run(const search& s) {
  const bool transposed = lies_transposed(s.values);
  const Tensor matrices = readable(s.values, transposed);
  request r = request_of(s, matrices);
  const std::int64_t m = r.pattern.m, tile_rows = (r.rows + m - 1) / m, tile_cols = (r.cols + m - 1) / m;
  const Tensor norms = s.column_norms.defined() ? s.column_norms.to(at::kFloat).contiguous() : Tensor();
  if (norms.defined()) r.norms = norms.const_data_ptr<float>();
  for (const Tensor& written : {s.prune ? s.values : Tensor(), s.mask, s.prices})  // the library looks at the weights
    if (norms.defined() && written.defined()) at::assert_no_overlap(written, s.column_norms);
  r.norms_of_rows = transposed;
  std::optional<writable> mask;
  if (s.mask.defined()) {
    mask.emplace(s.mask, transposed);
    const Tensor& to = mask->memory;
    r.mask = {static_cast<std::uint8_t*>(to.data_ptr()), row_stride_of(to), batch_stride_of(to)};
  }
  const Tensor report = s.report.defined() && transposed ? at::empty_like(s.report) : s.report;
  if (report.defined()) r.reports = static_cast<tsenor::tile_report*>(report.data_ptr());
  Tensor prices = s.prices;
  if (prices.defined()) {
    if (transposed) prices = transposed_tiles(prices.flip(1), r.batch, tile_cols, tile_rows);
    prices = prices.to(matrices.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
    r.prices = prices.data_ptr();
  }
  {
    const at::OptionalDeviceGuard guard(matrices.device());
    require(find(r, matrices));
  }
  if (mask) mask->write_back();
  if (report.defined() && transposed) s.report.copy_(transposed_tiles(report, r.batch, tile_rows, tile_cols));
  if (prices.defined() && !prices.is_same(s.prices))
    s.prices.copy_(transposed ? transposed_tiles(prices, r.batch, tile_rows, tile_cols).flip(1) : prices);
}

std::tuple<Tensor, Tensor> find_mask(const Tensor& weight, std::int64_t n, std::int64_t m,
                                     const optional_tensor& importance, const optional_tensor& column_norms,
                                     std::string method, std::string constraint, std::string edge, bool with_report) {
  const asked pattern{n, m, method, constraint, edge};
  check_arguments({weight, importance, column_norms}, pattern);
  const Tensor mask = at::empty_like(weight, weight.options().dtype(at::kBool));
  constexpr std::int64_t words = sizeof(tsenor::tile_report) / sizeof(double);
  const std::int64_t tiles = with_report ? tiles_of(weight, m).expect_int() : 0;
  const Tensor report = at::empty({tiles, words}, weight.options().dtype(at::kDouble));
  search s{importance ? *importance : weight, pattern, importance.has_value()};
  s.column_norms = column_norms.value_or(Tensor());
  s.mask = mask;
  if (with_report) s.report = report;
  run(s);
  return {mask, report};
}

void find_mask_(Tensor mask, const Tensor& weight, std::int64_t n, std::int64_t m, const optional_tensor& importance,
                const optional_tensor& column_norms, const optional_tensor& prices, std::string method,
                std::string constraint, std::string edge, bool warm) {
  const asked pattern{n, m, method, constraint, edge};
  check_arguments({weight, importance, column_norms, mask, prices}, pattern, warm);
  search s{importance ? *importance : weight, pattern, importance.has_value(), warm};
  s.column_norms = column_norms.value_or(Tensor());
  s.mask = mask;
  s.prices = prices.value_or(Tensor());
  run(s);
}

/// In one kernel where the layout allows it; else the mask is found first.
void prune_(Tensor weight, std::int64_t n, std::int64_t m, const optional_tensor& importance,
            const optional_tensor& column_norms, const optional_tensor& mask, std::string method,
            std::string constraint, std::string edge) {
  const asked pattern{n, m, method, constraint, edge};
  check_arguments({weight, importance, column_norms, mask}, pattern);
  at::assert_no_internal_overlap(weight);
  search s{importance ? *importance : weight, pattern, importance.has_value()};
  s.column_norms = column_norms.value_or(Tensor());
  s.mask = mask.value_or(Tensor());
  s.prune = !importance && fits_in_place(weight, matrices_of(weight, lies_transposed(weight)));
  if (!s.prune && !mask) s.mask = at::empty_like(weight, weight.options().dtype(at::kBool));
  run(s);
  if (!s.prune) weight.masked_fill_(s.mask.logical_not(), 0);
}

/// Host seconds of the library's calls alone, so many of them: what is more in find_mask_ is PyTorch's and this file's.
double host_seconds(const Tensor& mask, const Tensor& weight, std::int64_t n, std::int64_t m, std::int64_t calls) {
  const asked pattern{n, m, "optimal", "exactly", "reject"};
  check_arguments({weight, std::nullopt, std::nullopt, mask}, pattern);
  search s{weight, pattern};
  s.mask = mask;
  run(s);  // a first call
  const Tensor matrices = readable(weight, false), to = readable(mask, false);
  request r = request_of(s, matrices);
  r.mask = static_cast<std::uint8_t*>(to.data_ptr());
  const at::OptionalDeviceGuard guard(weight.device());
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t k = 0; k < calls; ++k) require(find(r, matrices));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  // The strides say which of equally good masks it is. Tensors are not keyword-only, as vmap knows no such tensors.
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag, at::Tag::needs_fixed_stride_order};
  const std::string worth = ", int n, int m, Tensor? importance=None, Tensor? column_norms=None";
  const std::string words = ", *, str method='optimal', str constraint='exactly', str edge='reject'";
  const std::string schemas[] = {
      "find_mask(Tensor weight" + worth + words + ", bool with_report=False) -> (Tensor mask, Tensor report)",
      "find_mask_(Tensor(a!) mask, Tensor weight" + worth + ", Tensor(b!)? prices=None" + words +
          ", bool warm=False) -> ()",
      "prune_(Tensor(a!) weight" + worth + ", Tensor(b!)? mask=None" + words + ") -> ()"};
  for (const std::string& schema : schemas) library.def(schema.c_str(), tags);
  library.def("find_mask_host_seconds(Tensor(a!) mask, Tensor weight, int n, int m, int calls) -> float");
}

void implement(torch::Library& library) {
  library.impl("find_mask", &find_mask);
  library.impl("find_mask_", &find_mask_);
  library.impl("prune_", &prune_);
  library.impl("find_mask_host_seconds", &host_seconds);
}

TORCH_LIBRARY_IMPL(tsenor, CPU, library) { implement(library); }

#if defined(TSENOR_TORCH_CUDA)
TORCH_LIBRARY_IMPL(tsenor, CUDA, library) { implement(library); }
#endif

}  // namespace
}  // namespace tsenor_torch
