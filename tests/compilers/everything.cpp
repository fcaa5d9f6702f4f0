// Each public function for the CPU once, for compilers and flags that no other test is compiled with.
#include "tsenor/prune/prune.hpp"
#include "tsenor/sparse24/mvue.hpp"
#include "tsenor/tsenor.hpp"

using tsenor::cpu_executor;
using tsenor::mask_outputs;
using tsenor::matrix_view;
using tsenor::status;

// An importance that returns a double where a float is asked for.
status of_a_lambda(const matrix_view<const float>& weights, const mask_outputs<float>& out, double factor) {
  const auto importance = [factor](float w, std::int64_t, std::int64_t, std::int64_t) { return w * w * factor; };
  return tsenor::find_mask<4, 8>(cpu_executor{}, weights, out, {}, importance);
}

status of_small_floats(const matrix_view<const tsenor::float8_e4m3>& weights,
                       const mask_outputs<tsenor::float8_e4m3>& out) {
  return tsenor::find_mask<2, 4>(cpu_executor{}, weights, out);
}

status companions(const matrix_view<float>& weights, const matrix_view<const std::uint8_t>& mask,
                  const tsenor::tile_report* reports, tsenor::report_summary* sum, tsenor::mask_violations* broken) {
  status s = tsenor::apply_mask(cpu_executor{}, weights, mask, weights);
  if (s.ok()) s = tsenor::check_mask<8, 16>(cpu_executor{}, mask, broken);
  if (s.ok()) s = tsenor::summarize(cpu_executor{}, reports, 16, sum);
  return s;
}

status pruned(const matrix_view<const float>& weights, const tsenor::prune::outputs<float>& out) {
  return tsenor::prune::magnitude(cpu_executor{}, tsenor::prune::static_pattern<4, 8>{}, weights, out);
}

status compressed(const matrix_view<const tsenor::bfloat16>& weights, const matrix_view<const std::uint8_t>& mask,
                  void* to) {
  return tsenor::sparse24::compress(weights, mask, tsenor::sparse24::operand::transposed, to);
}

status estimated(const matrix_view<const tsenor::bfloat16>& gradient, void* to, tsenor::bfloat16* dense) {
  const status s = tsenor::sparse24::compress_mvue(gradient, to, {});
  return s.ok() ? tsenor::sparse24::decompress(to, gradient.cols, gradient.rows, dense) : s;
}
