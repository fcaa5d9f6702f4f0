/// \file
/// find_mask on the CPU for one type of weights. Each type is instantiated in a source of its own, so that they compile
/// side by side.
#pragma once

#include <chrono>

#include "failure.hpp"
#include "../solver.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/find_mask.hpp"
#include "tsenor/summarize.hpp"

namespace tool {

/// find_mask, and what the tool says of its mask.
template <class Weight, class Importance>
solution search_on_cpu(const Weight* weights, const matrix& m, const task& t, const settings& s,
                       Importance importance) {
  const tsenor::cpu_executor cpu{s.threads};
  solution found;
  found.mask.resize(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols));
  std::vector<tsenor::tile_report> reports(static_cast<std::size_t>(tile_count(m, t.pattern)));
  tsenor::mask_outputs<Weight> out;
  out.mask = found.mask.data();
  out.reports = reports.data();

  const auto start = std::chrono::steady_clock::now();
  require(tsenor::find_mask(cpu, t.pattern, tsenor::matrix_view<const Weight>(weights, m.rows, m.cols), out, t.options,
                            importance));
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  require(tsenor::summarize(cpu, reports.data(), tile_count(m, t.pattern), &found.summary));
  tsenor::mask_violations broken{};
  const tsenor::matrix_view<const std::uint8_t> mask(found.mask.data(), m.rows, m.cols);
  require(tsenor::check_mask(cpu, t.pattern, mask, &broken, t.options.constraint, t.options.edge));
  found.violations = broken.rows + broken.cols;
  return found;
}

/// The solution for `weights`, which are those of `m`.
template <class Weight>
solution find_on_cpu(const Weight* weights, const matrix& m, const task& t, const settings& s) {
  return s.importance == importance_choice::squared ? search_on_cpu(weights, m, t, s, tsenor::squared{})
                                                    : search_on_cpu(weights, m, t, s, tsenor::magnitude{});
}

}  // namespace tool
