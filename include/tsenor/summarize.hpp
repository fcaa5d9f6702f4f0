/// \file
/// Sums the reports of many tiles, on the CPU.
#pragma once

#include <cfloat>
#include <cstdint>
#include <limits>

#include "tsenor/cpu_executor.hpp"
#include "tsenor/detail/config.hpp"
#include "tsenor/detail/scale.hpp"
#include "tsenor/detail/parallel_for.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/report.hpp"
#include "tsenor/status.hpp"

namespace tsenor {
namespace detail {

/// The summary of no tiles.
TSENOR_HOST_DEVICE inline report_summary empty_summary() { return {0.0, 0.0, 0.0, -1, 0, 0, 0}; }

/// Keeps the larger gap; of equal ones that of the earlier tile.
TSENOR_HOST_DEVICE inline void keep_worst(report_summary& sum, double gap, std::int64_t tile) {
  const bool is_worse = gap > sum.worst_gap || (gap == sum.worst_gap && tile < sum.worst_tile);
  if (tile >= 0 && (sum.worst_tile < 0 || is_worse)) {
    sum.worst_gap = gap;
    sum.worst_tile = tile;
  }
}

/// The sum of two numbers that are not negative, rounded up; at most DBL_MAX.
TSENOR_HOST_DEVICE inline double sum_above(double a, double b) {
  const double least = a < b ? a : b, most = a < b ? b : a, sum = most + least;
  if (!is_finite(sum)) return DBL_MAX;
  return sum - most < least ? next_above(sum) : sum;  // the difference is exact
}

/// Adds what two sums have in common, and keeps the bound above the value where it is above it in one of them.
TSENOR_HOST_DEVICE inline void add_sums(report_summary& sum, double value, double bound) {
  const bool open = sum.bound > sum.value || bound > value;
  sum.value = sum_above(sum.value, value);
  sum.bound = sum_above(sum.bound, bound);
  if (!open || sum.bound > sum.value) return;
  if (sum.value < DBL_MAX)
    sum.bound = next_above(sum.value);
  else
    sum.value = double_of_bits(bits_of(DBL_MAX) - 1);
}

TSENOR_HOST_DEVICE inline void add_report(report_summary& sum, const tile_report& report, std::int64_t tile) {
  add_sums(sum, report.value, report.bound);
  sum.tiles += 1;
  sum.moves += report.moves;
  sum.replaced += report.replaced;
  keep_worst(sum, report.bound - report.value, tile);
}

TSENOR_HOST_DEVICE inline void add_summary(report_summary& sum, const report_summary& other) {
  add_sums(sum, other.value, other.bound);
  sum.tiles += other.tiles;
  sum.moves += other.moves;
  sum.replaced += other.replaced;
  keep_worst(sum, other.worst_gap, other.worst_tile);
}

inline status check_summarize_arguments(const tile_report* reports, std::int64_t count, const report_summary* result) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / std::int64_t(sizeof(tile_report));
  if (count < 0 || count > most)
    return {status_code::invalid_shape,
            count < 0 ? "the number of reports must not be negative" : "more reports than fit into the address space",
            count, count < 0 ? 0 : most};
  status s;
  if (count > 0)
    s = check_pointer(reports, alignof(tile_report),
                      "the reports are null or not aligned: give a pointer to `count` of them");
  if (s.ok())
    s = check_pointer(result, alignof(report_summary),
                      "the result is null or not aligned: give a pointer to one report_summary");
  if (!s.ok()) return s;
  if (buffers_overlap(reports, sizeof *reports, count, result, sizeof *result, 1))
    return {status_code::overlapping_buffers, "the result lies within the reports: give it its own memory"};
  return {};
}

/// Always the same 64 parts, added up in order, so that the sums do not depend on the threads.
inline report_summary summarize_on_cpu(int threads, const tile_report* reports, std::int64_t count) {
  constexpr int parts = 64;
  constexpr std::int64_t few = 1 << 14;  // so many take less time than starting a thread
  report_summary sums[parts];
  const std::int64_t per_part = (count + parts - 1) / parts;
  parallel_for(count < few ? 1 : threads, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      report_summary sum = empty_summary();
      for (std::int64_t k = part * per_part; k < (part + 1) * per_part && k < count; ++k)
        add_report(sum, reports[k], k);
      sums[part] = sum;
    }
  });
  report_summary total = empty_summary();
  for (const report_summary& sum : sums) add_summary(total, sum);
  return total;
}

}  // namespace detail

/// Adds up the reports of many tiles on the CPU: total value and bound, in units of importance, and the tile with the
/// largest gap between them.
///
/// \param executor the threads to use; the result does not depend on them
/// \param reports  `[count]` reports, as find_mask writes them. Read only.
/// \param count    tiles of the matrix, times matrices of the batch; 0 gives a summary of zeros with worst_tile = -1
/// \param result   one struct, written before the call returns; must not be null
/// \return an error, and `*result` untouched, for a negative count, null or misaligned pointers (`reports` may be null
///         if there are none), a `result` within the reports and negative threads
///
/// The sums are in double, rounded up so that they stay valid, and in a fixed order: the same input gives the same bits
/// on every run. (The GPU adds in another order, so its last digits may differ.) Value and bound are equal only if they
/// are equal for all tiles. A sum beyond the range of double becomes the largest double. Cost: one pass; memory
/// O(threads). Thread-safe.
///
/// \code
/// std::vector<tsenor::tile_report> reports(tiles);  // filled by find_mask
/// tsenor::report_summary sum;
/// const tsenor::status s = tsenor::summarize(tsenor::cpu_executor{}, reports.data(), tiles, &sum);
/// if (s.ok()) std::printf("no mask keeps more than %g above %g\n", sum.bound - sum.value, sum.value);
/// \endcode
inline status summarize(cpu_executor executor, const tile_report* reports, std::int64_t count, report_summary* result) {
  if (const status s = detail::check_threads(executor.threads); !s) return s;
  if (const status s = detail::check_summarize_arguments(reports, count, result); !s) return s;
  *result = detail::summarize_on_cpu(executor.threads, reports, count);
  return {};
}

}  // namespace tsenor
