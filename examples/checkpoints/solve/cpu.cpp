#include "../pruner.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "failure.hpp"
#include "tsenor/prune/prune.hpp"

namespace tool {
namespace {

class cpu_pruner : public pruner {
 public:
  const char* device() const override { return "cpu"; }

  pruning prune(layer_data& l, tsenor::pattern nm, const tsenor::prune::sparsity& rule, const settings& s) override {
    const tsenor::cpu_executor cpu{s.threads};
    const tsenor::matrix_view<const float> view(l.weights.data(), l.rows, l.cols);
    std::vector<std::uint8_t> mask(l.weights.size());
    std::vector<float> norms(static_cast<std::size_t>(l.cols));
    tsenor::prune::outputs<float> out;
    out.pruned = l.weights.data();
    out.mask = mask.data();
    pruning result;
    const auto start = std::chrono::steady_clock::now();
    require(s.method == method_choice::magnitude
                ? tsenor::prune::magnitude(cpu, nm, view, out, rule)
                : tsenor::prune::wanda(cpu, nm, view, l.gram.data(), norms.data(), out, rule));
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.method == method_choice::wanda)
      result.dead_inputs = static_cast<int>(std::count(norms.begin(), norms.end(), 0.f));
    return result;
  }
};

}  // namespace

std::unique_ptr<pruner> make_cpu_pruner(method_choice method) {
  if (method == method_choice::sparsegpt || method == method_choice::alps)
    throw failure(exit_code::device, std::string("--method ") + name_of(method) +
                                         " needs a CUDA device; on the CPU use magnitude or wanda");
  return std::make_unique<cpu_pruner>();
}

}  // namespace tool
