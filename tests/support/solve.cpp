#include "solve.hpp"

#include "float_problem.hpp"
#include "solve_fixed.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {

template <class T>
tsenor::status find_any(tsenor::cpu_executor executor, tsenor::pattern p, tsenor::matrix_view<const T> weights,
                        const tsenor::mask_outputs<T>& out, const tsenor::options& opts) {
  return find_mask(executor, p, weights, out, opts);
}

template <class T>
using call = tsenor::status(tsenor::cpu_executor, tsenor::pattern, tsenor::matrix_view<const T>,
                            const tsenor::mask_outputs<T>&, const tsenor::options&);

template call<float> find_any;
template call<double> find_any;
template call<tsenor::float16> find_any;
template call<tsenor::bfloat16> find_any;
template call<tsenor::float8_e4m3> find_any;
template call<tsenor::float8_e5m2> find_any;

template <int N, int M, class T, class Importance>
tsenor::status find_fixed(tsenor::cpu_executor executor, tsenor::matrix_view<const T> weights,
                          const tsenor::mask_outputs<T>& out, const tsenor::options& opts, Importance importance) {
  return tsenor::find_mask<N, M>(executor, weights, out, opts, importance);
}

template <class T, class Importance = tsenor::magnitude>
using fixed_call = tsenor::status(tsenor::cpu_executor, tsenor::matrix_view<const T>, const tsenor::mask_outputs<T>&,
                                  const tsenor::options&, Importance);

template fixed_call<float> find_fixed<4, 8>;
template fixed_call<double> find_fixed<4, 8>;
template fixed_call<tsenor::float16> find_fixed<4, 8>;
template fixed_call<tsenor::bfloat16> find_fixed<4, 8>;
template fixed_call<tsenor::float8_e4m3> find_fixed<4, 8>;
template fixed_call<tsenor::float8_e5m2> find_fixed<4, 8>;
template fixed_call<float, tsenor::squared> find_fixed<4, 8>;
template fixed_call<float, tsenor::wanda> find_fixed<4, 8>;
template fixed_call<float> find_fixed<2, 4>;
template fixed_call<float> find_fixed<16, 32>;
template fixed_call<float, tsenor::squared> find_fixed<2, 4>;
template fixed_call<double> find_fixed<2, 4>;
template fixed_call<double> find_fixed<8, 16>;
template fixed_call<double, tsenor::squared> find_fixed<4, 8>;

void run_float_tiles(tsenor::detail::instruction_set isa, const float_problem& p) {
  // As find_mask's run-time entry runs them, so that the solver is compiled once for both.
  const auto run = [&](auto width) { tsenor::detail::run_tiles<width, true>(isa, p, 0, p.grid.tiles); };
  switch (tsenor::detail::lane_width(p.nm.m)) {
    case 8:
      return run(std::integral_constant<int, 8>{});
    case 16:
      return run(std::integral_constant<int, 16>{});
    case 32:
      return run(std::integral_constant<int, 32>{});
    default:
      return run(std::integral_constant<int, 64>{});
  }
}

}  // namespace tsenor_test
