#include "tsenor/prune/prune.hpp"

tsenor::status run(tsenor::matrix_view<const int> weights, tsenor::prune::outputs<int> out) {
  return tsenor::prune::magnitude(tsenor::cpu_executor{}, tsenor::pattern{4, 8}, weights, out);
}
