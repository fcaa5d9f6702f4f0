#include <cstring>

#include "case.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_test {

solution_of<float> solve_on_cpu(const layout& l, const std::vector<float>& weights, const tsenor::options& opts,
                                std::uint8_t fill) {
  solution_of<float> s;
  s.mask.assign(l.elements(), fill);
  s.packed.assign(l.packed_bytes(), fill);
  s.pruned.resize(l.elements());
  std::memset(s.pruned.data(), fill, s.pruned.size() * sizeof(float));
  s.reports.resize(l.tiles());
  const auto out = outputs_at(l, s.mask.data(), s.packed.data(), s.pruned.data(), s.reports.data());
  const auto done = tsenor::find_mask(tsenor::cpu_executor{}, l.nm, l.view(weights.data()), out, opts);
  EXPECT_TRUE(done.ok()) << done.message();
  return s;
}

}  // namespace tsenor_test
