// Each public function for the GPU once, for compilers and architectures that no other test is compiled with. Lambdas need
// nvcc's --extended-lambda.
#include "tsenor/sparse24/compress.cuh"
#include "tsenor/tsenor.cuh"

namespace {

using tsenor::mask_outputs;
using tsenor::matrix_view;
using tsenor::status;

// Lanes that share a warp, and an importance that only the device can call.
[[maybe_unused]] status shared_warp(const matrix_view<float>& weights, const float* norms, cudaStream_t stream) {
  const auto importance = [norms] __device__(float w, std::int64_t, std::int64_t col, std::int64_t) {
    return w * w * norms[col];
  };
  mask_outputs<float> out;
  out.pruned = weights.data;
  return tsenor::find_mask<8, 16>(weights, out, {}, importance, stream);
}

// A tile in each lane.
[[maybe_unused]] status lanes_of_their_own(const __half* weights, std::uint8_t* mask) {
  return tsenor::find_mask<2, 4>(weights, 64, 64, mask);
}

// Two lanes' numbers in a thread.
[[maybe_unused]] status whole_warp(const matrix_view<const double>& weights, const mask_outputs<double>& out) {
  return tsenor::find_mask<32, 64>(weights, out);
}

[[maybe_unused]] status companions(const matrix_view<float>& weights, const matrix_view<const std::uint8_t>& mask,
                                   const tsenor::tile_report* reports, tsenor::report_summary* sum,
                                   tsenor::mask_violations* broken) {
  status s = tsenor::apply_mask(weights, mask, weights);
  if (s.ok()) s = tsenor::check_mask<8, 16>(mask, broken);
  if (s.ok()) s = tsenor::summarize(reports, 16, sum);
  return s;
}

[[maybe_unused]] status compressed(const matrix_view<__nv_bfloat16>& weights, const tsenor::sparse24::operands& to) {
  return tsenor::sparse24::find_mask_and_compress(weights, {}, to);
}

}  // namespace
