/// \file
/// find_mask on the GPU for one type of weights. Each type is instantiated in a source of its own, so that they compile
/// side by side.
#pragma once

#include <algorithm>

#include "failure.hpp"
#include "../solver.hpp"
#include "device.cuh"
#include "tsenor/check_mask.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/summarize.cuh"

namespace tool {

/// find_mask, and what the tool says of its mask.
template <class Weight, class Importance>
solution search_on_cuda(const Weight* host_weights, const matrix& m, const task& t, const settings& s,
                        Importance importance) {
  const std::int64_t tiles = tile_count(m, t.pattern);
  device_array<Weight> weights(m.rows * m.cols);
  device_array<std::uint8_t> mask(m.rows * m.cols);
  device_array<tsenor::tile_report> reports(tiles);
  device_array<tsenor::report_summary> summary(1);
  device_array<tsenor::mask_violations> broken(1);
  weights.copy_from(host_weights);
  tsenor::mask_outputs<Weight> out;
  out.mask = {mask.get(), m.cols};
  out.reports = reports.get();

  // One tile first: the driver loads the kernel at its first launch, which is no part of the search.
  const std::int64_t first_rows = std::min<std::int64_t>(m.rows, t.pattern.m),
                     first_cols = std::min<std::int64_t>(m.cols, t.pattern.m);
  const tsenor::matrix_view<const Weight> first(weights.get(), first_rows, first_cols, m.cols);
  require(tsenor::find_mask(t.pattern, first, out, t.options, importance));

  solution found;
  device_timer timer;
  timer.start();
  require(tsenor::find_mask(t.pattern, tsenor::matrix_view<const Weight>(weights.get(), m.rows, m.cols), out, t.options,
                            importance));
  found.seconds = timer.stop();

  require(tsenor::summarize(reports.get(), tiles, summary.get()));
  const tsenor::matrix_view<const std::uint8_t> mask_view(mask.get(), m.rows, m.cols);
  require(tsenor::check_mask(t.pattern, mask_view, broken.get(), t.options.constraint, t.options.edge));
  tsenor::mask_violations violations{};
  found.mask.resize(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols));
  mask.copy_to(found.mask.data());
  summary.copy_to(&found.summary);
  broken.copy_to(&violations);
  found.violations = violations.rows + violations.cols;
  return found;
}

/// The solution for `weights`, which are those of `m` and in host memory.
template <class Weight>
solution find_on_cuda(const Weight* weights, const matrix& m, const task& t, const settings& s) {
  return s.importance == importance_choice::squared ? search_on_cuda(weights, m, t, s, tsenor::squared{})
                                                    : search_on_cuda(weights, m, t, s, tsenor::magnitude{});
}

}  // namespace tool
