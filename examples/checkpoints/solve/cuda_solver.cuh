/// \file
/// Masks on the GPU.
#pragma once

#include <algorithm>

#include "device.cuh"
#include "solver.hpp"
#include "tsenor/check_mask.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/prune/detail/saliency.hpp"
#include "tsenor/summarize.cuh"

namespace tool {

class cuda_solver : public solver {
 public:
  const char* device() const override { return "cuda"; }

  solution solve(const std::vector<float>& host, std::int64_t rows, std::int64_t cols, const search& s) override {
    const std::int64_t tiles = tile_count(rows, cols, s.pattern);
    device_array<float> weights(rows * cols);
    device_array<std::uint8_t> mask(rows * cols);
    device_array<tsenor::tile_report> reports(tiles);
    weights.copy_from(host.data());
    tsenor::mask_outputs<float> out;
    out.mask = {mask.get(), cols};
    out.reports = reports.get();

    // One tile first: the driver loads the kernel at its first launch, which is no part of the search.
    const std::int64_t first_rows = std::min<std::int64_t>(rows, s.pattern.m),
                       first_cols = std::min<std::int64_t>(cols, s.pattern.m);
    find({weights.get(), first_rows, first_cols, cols}, out, s);
    solution found;
    device_timer timer;
    timer.start();
    find({weights.get(), rows, cols}, out, s);
    found.seconds = timer.stop();
    found.mask.resize(host.size());
    mask.copy_to(found.mask.data());
    judge(mask, reports, rows, cols, s, found);
    return found;
  }

 private:
  static void find(const tsenor::matrix_view<const float>& weights, const tsenor::mask_outputs<float>& out,
                   const search& s) {
    const tsenor::prune::detail::saliency importance{nullptr, s.importance == importance_choice::squared};
    require(tsenor::find_mask(s.pattern, weights, out, s.options, importance));
  }

  static void judge(const device_array<std::uint8_t>& mask, const device_array<tsenor::tile_report>& reports,
                    std::int64_t rows, std::int64_t cols, const search& s, solution& found) {
    device_array<tsenor::report_summary> summary(1);
    device_array<tsenor::mask_violations> broken(1);
    require(tsenor::summarize(reports.get(), tile_count(rows, cols, s.pattern), summary.get()));
    const tsenor::matrix_view<const std::uint8_t> view(mask.get(), rows, cols);
    require(tsenor::check_mask(s.pattern, view, broken.get(), s.options.constraint, s.options.edge));
    tsenor::mask_violations violations{};
    summary.copy_to(&found.summary);
    broken.copy_to(&violations);
    found.violations = violations.rows + violations.cols;
  }
};

}  // namespace tool
