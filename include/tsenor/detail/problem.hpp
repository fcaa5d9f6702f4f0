// A validated call: what every tile's solution needs to know. Trivially copyable, so it is a kernel's one argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "tsenor/detail/any_weight.hpp"
#include "tsenor/detail/config.hpp"
#include "tsenor/detail/tiling.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor::detail {

// The lanes that a tile takes.
constexpr int lane_width(int side) { return side <= 8 ? 8 : side <= 16 ? 16 : side <= 32 ? 32 : 64; }
// The bytes of a packed row of a tile.
constexpr std::size_t packed_size(int side) { return std::size_t(lane_width(side)) / 8; }

template <class Weight, class Importance>
struct problem {
  matrix_view<const Weight> weights;
  weight_format format;      // of the weights
  mask_outputs<Weight> out;  // all strides explicit
  Importance importance;
  pattern nm;
  method how;
  constraint kept;
  bool warm;  // out.prices are read first
  int iterations;
  float tau;
  int local_search_steps;
  tiling grid;

  // Whether solve_tile4.hpp has the solver, which takes one 4x4 tile in each lane: for the optimum alone.
  bool takes_tile4_solver() const { return how == method::optimal && nm.m == 4; }
  TSENOR_HOST_DEVICE bool certifies() const { return out.reports != nullptr || out.prices != nullptr; }
  // Whether masks are all that is asked for, and found without earlier prices.
  bool wants_masks_only() const { return !certifies() && out.pruned.data == nullptr; }
  // Whether a matrix has no smaller tiles of 4x4, and all rows of four lie on boundaries of four elements.
  bool in_fours() const {
    return grid.rows % 4 == 0 && grid.cols % 4 == 0 &&
           in_fours(weights.data, weights.row_stride, weights.batch_stride) &&
           in_fours(out.pruned.data, out.pruned.row_stride, out.pruned.batch_stride) &&
           in_fours(out.mask.data, out.mask.row_stride, out.mask.batch_stride);
  }
  // Whether the plain code for 4x4 tiles will do: rows in fours, few tiles, no prices and reports.
  bool is_plain4() const { return in_fours() && grid.is_small() && !certifies(); }

 private:
  template <class T>
  bool in_fours(const T* data, std::int64_t row_stride, std::int64_t batch_stride) const {
    return reinterpret_cast<std::uintptr_t>(data) % (4 * sizeof(T)) == 0 && row_stride % 4 == 0 &&
           (weights.batch == 1 || batch_stride % 4 == 0);
  }
};

// The prices of a tile, as those of weights of type T are stored.
template <class T, class Weight, class Importance>
TSENOR_HOST_DEVICE price_type<T>* prices_in_memory(const problem<Weight, Importance>& problem, std::int64_t tile) {
  return reinterpret_cast<price_type<T>*>(problem.out.prices) + tile * 2 * problem.nm.m;
}

// An output buffer's check, and its strides made explicit. `Element` is what its strides count.
template <class T>
status resolve(output_buffer<T>& out, std::size_t element_size, std::int64_t rows, std::int64_t cols,
               std::int64_t batch, const char* misaligned, byte_range& range) {
  if (out.data == nullptr) return {};
  if (out.row_stride == 0) out.row_stride = cols;
  const bool counted = extent(rows, cols, out.row_stride, 1, 0) >= 0;  // else rows * row_stride may overflow
  if (out.batch_stride == 0 && counted) out.batch_stride = rows * out.row_stride;
  range = bytes_of(out.data, element_size, 0);
  const status s =
      check_view(out.data, element_size, element_size, rows, cols, out.row_stride, batch, out.batch_stride, misaligned);
  if (s.ok()) range = bytes_of(out.data, element_size, extent(rows, cols, out.row_stride, batch, out.batch_stride));
  return s;
}

// The same for a dense output of `per_tile` elements for each tile.
template <class T>
status resolve_dense(const T* data, std::int64_t tiles, std::int64_t per_tile, const char* misaligned,
                     byte_range& range) {
  if (data == nullptr) return {};
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() / std::int64_t(sizeof(T)) / per_tile;
  if (tiles > most)
    return {status_code::invalid_shape, "the reports or prices of so many tiles exceed the address space", tiles, most};
  range = bytes_of(data, sizeof(T), tiles * per_tile);
  return check_pointer(data, alignof(T), misaligned);
}

// What a functor of the library's own reads.
template <class Importance>
byte_range bytes_read_by(const Importance&, std::int64_t) {
  return {};
}
inline byte_range bytes_read_by(const wanda& importance, std::int64_t cols) {
  return bytes_of(importance.column_norms, sizeof(float), cols);
}

// The outputs as they are numbered where two of them share memory.
enum output { mask_output, packed_output, pruned_output, reports_output, prices_output, output_count };

// The outputs against each other and against the input. `written`: the bytes of each.
template <class Weight, class Importance>
status check_overlaps(const problem<Weight, Importance>& problem, const byte_range (&written)[output_count]) {
  for (int i = 0; i < output_count; i++)
    for (int j = 0; j < i; j++)
      if (overlap(written[i], written[j]))
        return {status_code::overlapping_buffers, "two outputs share memory: give each its own buffer", j, i};
  const auto& w = problem.weights;
  const byte_range input =
      bytes_of(w.data, sizeof(Weight), extent(w.rows, w.cols, w.row_stride, w.batch, w.batch_stride));
  const auto& pruned = problem.out.pruned;
  const bool in_place = pruned.data == w.data && pruned.row_stride == w.row_stride &&
                        (w.batch == 1 || pruned.batch_stride == w.batch_stride);
  const byte_range read = bytes_read_by(problem.importance, w.cols);
  for (int i = 0; i < output_count; i++) {
    if (overlap(written[i], input) && !(i == pruned_output && in_place))
      return {status_code::overlapping_buffers,
              "an output shares memory with the weights: only `pruned` may, with the same pointer and strides", i};
    if (overlap(written[i], read))
      return {status_code::overlapping_buffers,
              "an output shares memory with wanda::column_norms: give it its own buffer", i};
  }
  return {};
}

// Each output, its strides made explicit, and the bytes of each.
template <class Weight, class Importance>
status resolve_outputs(problem<Weight, Importance>& problem, byte_range (&written)[output_count]) {
  const auto& w = problem.weights;
  const status checks[] = {
      resolve(problem.out.mask, 1, w.rows, w.cols, w.batch, "", written[mask_output]),  // bytes are always aligned
      resolve(problem.out.packed, packed_size(problem.nm.m), w.rows, problem.grid.tile_cols.value(), w.batch,
              "mask_outputs::packed is not aligned to its words", written[packed_output]),
      resolve(problem.out.pruned, sizeof(Weight), w.rows, w.cols, w.batch,
              "mask_outputs::pruned is not aligned to its element type", written[pruned_output]),
      resolve_dense(problem.out.reports, problem.grid.tiles, 1, "mask_outputs::reports is not aligned to tile_report",
                    written[reports_output]),
      resolve_dense(problem.out.prices, problem.grid.tiles, 2 * problem.nm.m,
                    "mask_outputs::prices is not aligned to its element type", written[prices_output]),
  };
  for (const status& s : checks)
    if (!s.ok()) return s;
  return {};
}

// Each output, and then all of them together.
template <class Weight, class Importance>
status check_outputs(problem<Weight, Importance>& problem) {
  if (problem.warm && problem.out.prices == nullptr)
    return {status_code::invalid_option,
            "start::warm reads mask_outputs::prices, which is null: give the prices of an earlier call, or start cold"};
  byte_range written[output_count];
  const status s = resolve_outputs(problem, written);
  return s.ok() ? check_overlaps(problem, written) : s;
}

// Whether there is anything to write.
template <class Weight>
status check_wanted(const mask_outputs<Weight>& out) {
  if (out.mask.data || out.packed.data || out.pruned.data || out.reports || out.prices) return {};
  return {status_code::invalid_pointer, "all outputs are null, so nothing would be written: give one a buffer"};
}

// What a functor of the library's own needs; a user's own is not checked.
template <class Importance>
status check_importance(const Importance&) {
  return {};
}
inline status check_importance(const wanda& importance) {
  return check_pointer(importance.column_norms, alignof(float),
                       "wanda::column_norms is null or not aligned: give one float for each column");
}

// A call as it was made, not checked yet.
template <class Weight, class Importance>
problem<Weight, Importance> make_problem(pattern nm, const matrix_view<const Weight>& weights,
                                         const mask_outputs<Weight>& out, const options& opts,
                                         const Importance& importance) {
  const int side = is_supported(nm) ? nm.m : 1;
  return {weights,
          format_of<Weight>(),
          out,
          importance,
          nm,
          opts.method,
          opts.constraint,
          opts.start == start::warm,
          opts.iterations,
          float(opts.tau),
          opts.local_search_steps,
          tiles_of(weights.rows, weights.cols, weights.batch, side)};
}

// Checks a call and completes its strides. If it is ok, the problem may be run.
template <class Weight, class Importance>
status check_problem(problem<Weight, Importance>& problem, const options& opts) {
  const auto& w = problem.weights;
  status s = check_pattern(problem.nm);
  if (s.ok()) s = check_options(opts);
  if (s.ok())
    s = check_view(w.data, sizeof(Weight), alignof(Weight), w.rows, w.cols, w.row_stride, w.batch, w.batch_stride,
                   "the weights are null or not aligned to their type: give a pointer to them");
  if (s.ok()) s = check_divisible(w.rows, w.cols, problem.nm.m, opts.edge);
  if (!s.ok() || problem.grid.tiles == 0) return s;
  s = check_importance(problem.importance);
  return s.ok() ? check_outputs(problem) : s;
}

// A checked call as the solver gets it: where the type of the weights is to be a value, without that type.
template <bool AnyWeight, class Weight, class Importance>
decltype(auto) as_solved(const problem<Weight, Importance>& problem) {
  if constexpr (AnyWeight) {
    const auto& w = problem.weights;
    const auto& pruned = problem.out.pruned;
    mask_outputs<any_weight> out;
    out.mask = problem.out.mask;
    out.packed = problem.out.packed;
    out.pruned = {reinterpret_cast<any_weight*>(pruned.data), pruned.row_stride, pruned.batch_stride};
    out.reports = problem.out.reports;
    out.prices = reinterpret_cast<float*>(problem.out.prices);
    return detail::problem<any_weight, Importance>{
        {reinterpret_cast<const any_weight*>(w.data), w.rows, w.cols, w.row_stride, w.batch, w.batch_stride},
        problem.format,
        out,
        problem.importance,
        problem.nm,
        problem.how,
        problem.kept,
        problem.warm,
        problem.iterations,
        problem.tau,
        problem.local_search_steps,
        problem.grid};
  } else {
    return (problem);
  }
}

}  // namespace tsenor::detail
