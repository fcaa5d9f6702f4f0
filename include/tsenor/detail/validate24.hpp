// Every check of a call that writes compressed 2:4 operands, or a gradient's compressed 2:4 estimate.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/validate.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/sparse24/layout.hpp"
#include "tsenor/status.hpp"

namespace tsenor::detail {

// A mask that the caller has already, of weights `[rows, cols]`.
inline status check_given24(const matrix_view<const std::uint8_t>& mask, std::int64_t rows, std::int64_t cols) {
  status s = check_same_shape(mask.rows, mask.cols, mask.batch, rows, cols, 1,
                              "mask and weights must have the same shape, and be one matrix, not a batch");
  if (s.ok())
    s = check_view(mask.data, 1, 4, rows, cols, mask.row_stride, 1, 0,
                   "the mask is null or does not begin at a multiple of four bytes: give one that does, or let "
                   "find_mask_and_compress find it");
  if (s.ok() && rows > 0 && cols > 0 && mask.row_stride % 4 != 0)
    return {status_code::invalid_pointer, "the mask's rows must begin at multiples of four bytes", mask.row_stride, 4};
  return s;
}

// The numbers that a wanted operand of so many rows is multiplied by; without a pointer, none.
inline byte_range bytes_of_scale(const sparse24::scale& by, const void* operand, std::int64_t rows) {
  return bytes_of(by.data, sizeof(float), operand == nullptr || by.data == nullptr ? 0 : by.by_row ? rows : 1);
}

// The operands' buffers against each other, and all that is written against all that is read. Of a checked problem.
template <class Weight, class Importance>
status check_overlaps24(problem<Weight, Importance>& problem, const matrix_view<const std::uint8_t>& given,
                        const sparse24::operands& to, int value_bytes, const sparse24::scales& by) {
  const auto& w = problem.weights;
  const auto size = std::int64_t(sparse24::compressed_size(w.rows, w.cols, value_bytes));
  const byte_range operands[] = {bytes_of(to.weights, 1, to.weights ? size : 0),
                                 bytes_of(to.transposed, 1, to.transposed ? size : 0)};
  byte_range written[output_count];
  if (const status s = resolve_outputs(problem, written); !s.ok()) return s;
  const byte_range mask = bytes_of(given.data, 1, extent(given.rows, given.cols, given.row_stride, 1, 0));
  const byte_range scales[] = {bytes_of_scale(by.weights, to.weights, w.rows),
                               bytes_of_scale(by.transposed, to.transposed, w.cols)};
  const byte_range read[] = {mask, bytes_of(w.data, sizeof(Weight), extent(w.rows, w.cols, w.row_stride, 1, 0)),
                             bytes_read_by(problem.importance, w.cols), scales[0], scales[1]};
  if (overlap(operands[0], operands[1]))
    return {status_code::overlapping_buffers, "the compressed operands of W and of W^T share memory"};
  for (const byte_range& operand : operands) {
    if (operand.begin % 16 != 0)
      return {status_code::invalid_pointer, "a compressed operand must begin at a multiple of 16 bytes",
              std::int64_t(operand.begin % 16), 16};
    for (const byte_range& input : read)
      if (overlap(operand, input))
        return {status_code::overlapping_buffers,
                "a compressed operand shares memory with the weights, the given mask, a scale or wanda::column_norms"};
    for (const byte_range& output : written)
      if (overlap(operand, output))
        return {status_code::overlapping_buffers,
                "a compressed operand shares memory with another output: give each a buffer of its own"};
  }
  for (const byte_range& output : written)
    if (overlap(output, mask) || overlap(output, scales[0]) || overlap(output, scales[1]))
      return {status_code::overlapping_buffers, "an output shares memory with the given mask or a scale"};
  return {};
}

// The scales of operands in float8, where these are wanted.
inline status check_scales24(const sparse24::operands& to, const sparse24::scales& by) {
  constexpr const char* message =
      "the scale of an operand is null or not aligned: give one number, or one for each row of the operand";
  if (to.weights != nullptr)
    if (const status s = check_pointer(by.weights.data, alignof(float), message); !s) return s;
  return to.transposed == nullptr ? status{} : check_pointer(by.transposed.data, alignof(float), message);
}

// Checks a call and completes its strides. `given` is without elements where the mask is to be found; values of one
// byte have scales.
template <class Weight, class Importance>
status check_compress24(problem<Weight, Importance>& problem, const matrix_view<const std::uint8_t>& given,
                        const sparse24::operands& to, int value_bytes = 2, const sparse24::scales& by = {}) {
  constexpr std::int64_t most_bands = 65535;  // of a grid
  const auto& w = problem.weights;
  status s = check_problem(problem, options{});
  if (!s.ok() || problem.grid.tiles == 0) return s;
  if (w.batch != 1) return {status_code::invalid_shape, "compresses one matrix, not a batch", w.batch, 1};
  s = sparse24::check_granularity(w.rows, w.cols);
  if (!s.ok()) return s;
  if (w.rows / sparse24::granularity > most_bands || w.cols / sparse24::granularity > most_bands)
    return {status_code::invalid_shape, "too many rows or columns", w.rows > w.cols ? w.rows : w.cols,
            most_bands * sparse24::granularity};
  if (!problem.in_fours())
    return {status_code::invalid_pointer,
            "weights, mask and pruned must begin at multiples of four elements, and so must their rows"};
  if (to.weights == nullptr && to.transposed == nullptr) s = check_wanted(problem.out);
  if (s.ok() && value_bytes == 1) s = check_scales24(to, by);
  return s.ok() ? check_overlaps24(problem, given, to, value_bytes, by) : s;
}

// What is written against what is read, and the places of numbers that are read when the work runs. `Random` is
// sparse24::random_state, which is declared where gradients are estimated.
template <class Random>
status check_gradient_memory24(byte_range gradient, byte_range compressed, const Random& random) {
  if (overlap(compressed, gradient))
    return {status_code::overlapping_buffers, "the compressed form shares memory with the gradient"};
  const std::int64_t* const numbers[] = {random.seed_at, random.offset_at};
  for (const std::int64_t* const number : numbers) {
    if (number == nullptr) continue;
    const status s = check_pointer(number, alignof(std::int64_t),
                                   "random_state::seed_at or offset_at is not aligned to a 64-bit number");
    if (!s.ok()) return s;
    if (overlap(compressed, bytes_of(number, sizeof *number, 1)))
      return {status_code::overlapping_buffers, "the compressed form shares memory with random_state's numbers"};
  }
  return {};
}

// Checks a call that writes the estimate of a gradient `[tokens, features]` of a 16-bit type.
template <class T, class Random>
status check_gradient24(const matrix_view<const T>& g, const void* compressed, const Random& random,
                        std::int64_t most_tokens) {
  status s = check_view(g.data, sizeof(T), 16, g.rows, g.cols, g.row_stride, 1, 0,
                        "the gradient is null or does not begin at a multiple of 16 bytes");
  if (s.ok()) s = sparse24::check_granularity(g.rows, g.cols);
  if (!s.ok() || g.rows * g.cols == 0) return s;
  if (g.batch != 1) return {status_code::invalid_shape, "compresses one gradient, not a batch", g.batch, 1};
  if (g.rows > most_tokens)
    return {status_code::invalid_shape, "more tokens than a grid of CUDA has room for: split the gradient", g.rows,
            most_tokens};
  s = check_pointer(compressed, 16, "the compressed form is null or does not begin at a multiple of 16 bytes");
  if (!s.ok()) return s;
  if (g.row_stride % 8 != 0)
    return {status_code::invalid_pointer, "the gradient's rows must begin at multiples of 16 bytes", g.row_stride, 8};
  if (random.offset % 4 != 0)
    return {status_code::invalid_option, "random_state::offset must be a multiple of 4", int(random.offset % 4), 4};
  return check_gradient_memory24(bytes_of(g.data, sizeof(T), extent(g.rows, g.cols, g.row_stride, 1, 0)),
                                 bytes_of(compressed, 1, std::int64_t(sparse24::compressed_size(g.rows, g.cols))),
                                 random);
}

}  // namespace tsenor::detail
