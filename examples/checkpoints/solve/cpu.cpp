// All that is solved on the CPU, in one source: find_mask is compiled once, for floats and the pruners' importance.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "failure.hpp"
#include "pruner.hpp"
#include "solver.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/find_mask.hpp"
#include "tsenor/prune/prune.hpp"
#include "tsenor/summarize.hpp"

namespace tool {
namespace {

using searched_importance = tsenor::prune::detail::saliency;
using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }

class cpu_solver : public solver {
 public:
  const char* device() const override { return "cpu"; }
  solution solve(const std::vector<float>& weights, std::int64_t rows, std::int64_t cols, const search& s) override {
    const tsenor::cpu_executor cpu{s.threads};
    const std::int64_t tiles = tile_count(rows, cols, s.pattern);
    solution found;
    found.mask.resize(weights.size());
    std::vector<tsenor::tile_report> reports(static_cast<std::size_t>(tiles));
    tsenor::mask_outputs<float> out;
    out.mask = found.mask.data();
    out.reports = reports.data();

    const auto start = steady::now();
    require(tsenor::find_mask(cpu, s.pattern, tsenor::matrix_view<const float>(weights.data(), rows, cols), out,
                              s.options, searched_importance{nullptr, s.importance == importance_choice::squared}));
    found.seconds = seconds_since(start);

    require(tsenor::summarize(cpu, reports.data(), tiles, &found.summary));
    tsenor::mask_violations broken{};
    const tsenor::matrix_view<const std::uint8_t> mask(found.mask.data(), rows, cols);
    require(tsenor::check_mask(cpu, s.pattern, mask, &broken, s.options.constraint, s.options.edge));
    found.violations = broken.rows + broken.cols;
    return found;
  }
};

class cpu_pruner : public pruner {
 public:
  const char* device() const override { return "cpu"; }

  pruning prune(layer_data& l, tsenor::pattern nm, const tsenor::prune::sparsity& rule, const settings& s) override {
    const tsenor::cpu_executor cpu{s.threads};
    const tsenor::matrix_view<const float> view(l.weights.data(), l.rows, l.cols);
    pruning result;
    result.mask.resize(l.weights.size());
    std::vector<float> norms(static_cast<std::size_t>(l.cols));
    tsenor::prune::outputs<float> out;
    out.pruned = l.weights.data();
    out.mask = result.mask.data();
    const auto start = steady::now();
    require(s.method == pruning_method::magnitude
                ? tsenor::prune::magnitude(cpu, nm, view, out, rule)
                : tsenor::prune::wanda(cpu, nm, view, l.gram.data(), norms.data(), out, rule));
    result.seconds = seconds_since(start);
    if (s.method == pruning_method::wanda)
      result.dead_inputs = static_cast<int>(std::count_if(norms.begin(), norms.end(), [](float x) { return x < 0; }));
    return result;
  }
};

}  // namespace

std::unique_ptr<solver> make_cpu_solver() { return std::make_unique<cpu_solver>(); }

std::unique_ptr<pruner> make_cpu_pruner(const settings& s) {
  if (s.method == pruning_method::sparsegpt || s.method == pruning_method::alps)
    throw failure(exit_code::device, std::string("--method ") + name_of(s.method) +
                                         " needs a CUDA device; on the CPU use magnitude or wanda");
  return std::make_unique<cpu_pruner>();
}

std::vector<float> published_prices(const std::vector<float>& importance, tsenor::pattern p) {
  std::vector<float> prices(2 * static_cast<std::size_t>(p.m));
  tsenor::mask_outputs<float> out;
  out.prices = prices.data();
  tsenor::options options = tsenor::options::published();
  options.constraint = tsenor::constraint::exactly;
  const tsenor::matrix_view<const float> tile(importance.data(), p.m, p.m);
  require(tsenor::find_mask(tsenor::cpu_executor{1}, p, tile, out, options, searched_importance{}));
  return prices;
}

}  // namespace tool
