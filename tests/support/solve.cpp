#include "solve.hpp"

#include "tsenor/find_mask.hpp"

namespace tsenor_test {

tsenor::status find_float_mask(tsenor::cpu_executor executor, tsenor::pattern p,
                               tsenor::matrix_view<const float> weights, const tsenor::mask_outputs<float>& out,
                               const tsenor::options& opts) {
  return find_mask(executor, p, weights, out, opts);
}

}  // namespace tsenor_test
