// Each public function for the GPU once, for compilers and architectures that no other test is compiled with. Lambdas
// need nvcc's --extended-lambda. TSENOR_TEST_LITTLE leaves out what takes longest to compile; TSENOR_TEST_PRUNERS adds
// what needs cuBLAS and cuSOLVER.
#include "tsenor/prune/magnitude.cuh"
#include "tsenor/sparse24/compress.cuh"
#include "tsenor/sparse24/mvue.cuh"
#include "tsenor/tsenor.cuh"
#if defined(TSENOR_TEST_PRUNERS)
#include "tsenor/prune/prune.cuh"
#endif

using tsenor::mask_outputs;
using tsenor::matrix_view;
using tsenor::status;

// Tiles in lanes of their own, and eight lanes a tile.
status eight_lanes(const __half* weights, std::uint8_t* mask) { return tsenor::find_mask<2, 4>(weights, 64, 64, mask); }

#if !defined(TSENOR_TEST_LITTLE)
// A warp a tile, and an importance that only the device can call.
status warp(const matrix_view<float>& weights, const float* norms, cudaStream_t stream) {
  const auto importance = [norms] __device__(float w, std::int64_t, std::int64_t col, std::int64_t) {
    return w * w * norms[col];
  };
  mask_outputs<float> out;
  out.pruned = weights.data;
  return tsenor::find_mask<16, 32>(weights, out, {}, importance, stream);
}
#endif

status companions(const matrix_view<float>& weights, const matrix_view<const std::uint8_t>& mask,
                  const tsenor::tile_report* reports, tsenor::report_summary* sum, tsenor::mask_violations* broken) {
  status s = tsenor::apply_mask(weights, mask, weights);
  if (s.ok()) s = tsenor::check_mask<8, 16>(mask, broken);
  if (s.ok()) s = tsenor::summarize(reports, 16, sum);
  return s;
}

status compressed(const matrix_view<__nv_bfloat16>& weights, const tsenor::sparse24::operands& to) {
  return tsenor::sparse24::find_mask_and_compress(weights, {}, to);
}

status compressed_float8(const matrix_view<float>& weights, const tsenor::sparse24::operands& to, const float* scale) {
  return tsenor::sparse24::find_mask_and_compress(weights, {}, to, {{scale}, {scale}});
}

status estimated(const matrix_view<const __half>& gradient, void* to, cudaStream_t stream) {
  return tsenor::sparse24::compress_mvue(gradient, to, {}, stream);
}

#if defined(TSENOR_TEST_PRUNERS)
namespace prune = tsenor::prune;

status with_gram(const prune::handles& on, const matrix_view<const float>& weights, const float* gram,
                 const prune::outputs<float>& out, const prune::workspace& memory, float* norms) {
  constexpr prune::static_pattern<2, 4> nm;
  status s = prune::wanda(nm, weights, gram, norms, out, {}, on.stream);
  if (s.ok()) s = prune::sparsegpt(on, nm, weights, gram, out, memory);
  return s.ok() ? prune::layer_error(on, weights, weights, gram, memory, nullptr) : s;
}

status with_spectrum(const prune::handles& on, const matrix_view<const float>& weights, float* gram,
                     const prune::outputs<float>& out, const prune::workspace& memory,
                     const prune::alps_inputs& inputs) {
  status s = prune::accumulate_gram(on, weights, gram, true);
  if (s.ok()) s = prune::alps_prepare(on, gram, inputs, memory);
  return s.ok() ? prune::alps(on, prune::static_pattern<2, 4>{}, weights, inputs, out, memory) : s;
}
#endif
