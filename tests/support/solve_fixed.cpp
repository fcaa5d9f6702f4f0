#include "solve_fixed.hpp"

#include "tsenor/find_mask.hpp"

namespace tsenor_test {

template <int N, int M, class T, class Importance>
tsenor::status find_fixed(tsenor::cpu_executor executor, tsenor::matrix_view<const T> weights,
                          const tsenor::mask_outputs<T>& out, const tsenor::options& opts, Importance importance) {
  return tsenor::find_mask<N, M>(executor, weights, out, opts, importance);
}

template <class T, class Importance = tsenor::magnitude>
using call = tsenor::status(tsenor::cpu_executor, tsenor::matrix_view<const T>, const tsenor::mask_outputs<T>&,
                            const tsenor::options&, Importance);

template call<float> find_fixed<4, 8>;
template call<double> find_fixed<4, 8>;
template call<tsenor::float16> find_fixed<4, 8>;
template call<tsenor::bfloat16> find_fixed<4, 8>;
template call<tsenor::float8_e4m3> find_fixed<4, 8>;
template call<tsenor::float8_e5m2> find_fixed<4, 8>;
template call<float, tsenor::squared> find_fixed<4, 8>;
template call<float, tsenor::wanda> find_fixed<4, 8>;
template call<float> find_fixed<2, 4>;
template call<float> find_fixed<16, 32>;
template call<float, tsenor::squared> find_fixed<2, 4>;
template call<double> find_fixed<2, 4>;
template call<double> find_fixed<8, 16>;
template call<double, tsenor::squared> find_fixed<4, 8>;

}  // namespace tsenor_test
