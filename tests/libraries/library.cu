// Compiled once for each library; TSENOR_LIBRARY is the name of its one function. The library's own functions have the
// visibility that they have by default.
#include "library.hpp"

#include "tsenor/apply_mask.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/summarize.cuh"

namespace tsenor_test {
namespace {

tsenor::status find(const float* weights, std::int64_t rows, std::int64_t cols, std::uint8_t* mask) {
  return tsenor::find_mask<8, 16>(weights, rows, cols, mask);
}

tsenor::status apply(const float* weights, std::int64_t rows, std::int64_t cols, const std::uint8_t* mask,
                     float* pruned) {
  return tsenor::apply_mask(tsenor::matrix_view<const float>(weights, rows, cols), {mask, rows, cols},
                            {pruned, rows, cols});
}

tsenor::status summarize(const tsenor::tile_report* reports, std::int64_t count, tsenor::report_summary* result) {
  return tsenor::summarize(reports, count, result);
}

int architecture() {
  namespace detail = tsenor::detail;
  cudaFuncAttributes found{};
  const auto kernel = detail::find_mask_kernel<detail::work::optimal_plain, 16, float, tsenor::magnitude>;
  const cudaError_t error = cudaFuncGetAttributes(&found, kernel);
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  return error == cudaSuccess ? found.ptxVersion : 0;
}

}  // namespace

library TSENOR_LIBRARY() { return {find, apply, summarize, architecture}; }

}  // namespace tsenor_test
