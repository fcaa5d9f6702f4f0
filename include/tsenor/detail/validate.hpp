// Every check of a caller's arguments, shared by both machines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"

namespace tsenor::detail {

// The bytes from the first to the last element of a strided batch of matrices; empty for a matrix without elements.
struct byte_range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

// The number of elements from the first to one past the last, -1 where that overflows 2^62. Sizes are not negative.
constexpr std::int64_t extent(std::int64_t rows, std::int64_t cols, std::int64_t row_stride, std::int64_t batch,
                              std::int64_t batch_stride) {
  constexpr std::int64_t limit = std::int64_t(1) << 62;
  if (rows == 0 || cols == 0 || batch == 0) return 0;
  if (rows > 1 && row_stride > (limit - cols) / (rows - 1)) return -1;
  const std::int64_t matrix = (rows - 1) * row_stride + cols;
  if (batch > 1 && batch_stride > (limit - matrix) / (batch - 1)) return -1;
  return (batch - 1) * batch_stride + matrix;
}

inline byte_range bytes_of(const void* data, std::size_t element_size, std::int64_t elements) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  return {begin, begin + std::uintptr_t(elements) * element_size};
}

constexpr bool overlap(byte_range a, byte_range b) {
  return a.begin != a.end && b.begin != b.end && a.begin < b.end && b.begin < a.end;
}

// A pointer that has to lead to an element, on its boundary.
inline status check_pointer(const void* data, std::size_t alignment, const char* message) {
  const auto past = std::int64_t(reinterpret_cast<std::uintptr_t>(data) % alignment);
  if (data != nullptr && past == 0) return {};
  return {status_code::invalid_pointer, message, past, data == nullptr ? 0 : std::int64_t(alignment)};
}

inline bool buffers_overlap(const void* a, std::size_t a_size, std::int64_t a_elements, const void* b,
                            std::size_t b_size, std::int64_t b_elements) {
  return overlap(bytes_of(a, a_size, a_elements), bytes_of(b, b_size, b_elements));
}

// Which of the sizes of a matrix, or of a batch, is too large for its elements to have addresses. Sizes are positive,
// and no stride is shorter than what it steps over.
inline status check_extent(std::size_t element_size, std::int64_t rows, std::int64_t cols, std::int64_t row_stride,
                           std::int64_t batch, std::int64_t batch_stride) {
  const std::int64_t addresses = std::numeric_limits<std::int64_t>::max() / std::int64_t(element_size),
                     limit = std::int64_t(1) << 62, most = addresses < limit ? addresses : limit;
  if (cols > most) return {status_code::invalid_shape, "more cols than fit into the address space", cols, most};
  const std::int64_t most_rows = (most - cols) / row_stride + 1;
  if (rows > most_rows)
    return {status_code::invalid_shape, "more rows than fit into the address space, row_stride apart", rows, most_rows};
  const std::int64_t matrix = (rows - 1) * row_stride + cols;
  if (batch > 1 && batch_stride > (most - matrix) / (batch - 1))
    return {status_code::invalid_shape, "more matrices than fit into the address space, batch_stride apart", batch,
            (most - matrix) / batch_stride + 1};
  return {};
}

// Sizes and strides of one strided batch of matrices, of at least one element.
inline status check_strides(std::size_t element_size, std::int64_t rows, std::int64_t cols, std::int64_t row_stride,
                            std::int64_t batch, std::int64_t batch_stride) {
  if (row_stride < cols)
    return {status_code::invalid_shape, "row_stride must be at least cols (it counts elements)", row_stride, cols};
  if (batch_stride < 0)
    return {status_code::invalid_shape, "batch_stride must not be negative (it counts elements)", batch_stride, 0};
  if (const status s = check_extent(element_size, rows, cols, row_stride, batch, batch_stride); !s.ok()) return s;
  const bool stacked = batch_stride >= extent(rows, cols, row_stride, 1, 0);
  const bool side_by_side = batch_stride >= cols && row_stride >= extent(batch, cols, batch_stride, 1, 0);
  if (batch == 1 || stacked || side_by_side) return {};
  return {status_code::invalid_shape,
          "batch_stride lets the matrices of the batch overlap: it must be at least rows * row_stride", batch_stride,
          rows * row_stride};
}

// Sizes, strides and pointer of one strided batch of matrices. `bad_pointer` says whose pointer is null or misaligned.
inline status check_view(const void* data, std::size_t element_size, std::size_t alignment, std::int64_t rows,
                         std::int64_t cols, std::int64_t row_stride, std::int64_t batch, std::int64_t batch_stride,
                         const char* bad_pointer) {
  if (rows < 0 || cols < 0 || batch < 0)
    return {status_code::invalid_shape, "rows, cols and batch must not be negative",
            rows < 0   ? rows
            : cols < 0 ? cols
                       : batch,
            0};
  if (rows == 0 || cols == 0 || batch == 0) return {};
  const status s = check_strides(element_size, rows, cols, row_stride, batch, batch_stride);
  return s.ok() ? check_pointer(data, alignment, bad_pointer) : s;
}

// Two shapes that have to be the same; names the first of their sizes that differ.
constexpr status check_same_shape(std::int64_t rows, std::int64_t cols, std::int64_t batch, std::int64_t of_rows,
                                  std::int64_t of_cols, std::int64_t of_batch, const char* message) {
  if (rows != of_rows) return {status_code::invalid_shape, message, rows, of_rows};
  if (cols != of_cols) return {status_code::invalid_shape, message, cols, of_cols};
  if (batch != of_batch) return {status_code::invalid_shape, message, batch, of_batch};
  return {};
}

constexpr status check_pattern(pattern nm) {
  if (is_supported(nm)) return {};
  return {status_code::invalid_pattern,
          "unsupported pattern N:M: choose 1 <= N <= M and 2 <= M <= 64 (observed N, required at most M)", nm.n, nm.m};
}

constexpr status check_divisible(std::int64_t rows, std::int64_t cols, int side, edge at_edge) {
  if (at_edge == edge::partial || (rows % side == 0 && cols % side == 0)) return {};
  return {status_code::not_divisible, "rows and cols must be multiples of M: pad the matrix, or use edge::partial",
          rows % side != 0 ? rows : cols, side};
}

constexpr status check_options(const options& o) {
  if (o.method != method::published && o.method != method::optimal)
    return {status_code::invalid_option, "unknown options::method", int(o.method)};
  if (o.constraint != constraint::exactly && o.constraint != constraint::at_most)
    return {status_code::invalid_option, "unknown options::constraint", int(o.constraint)};
  if (o.edge != edge::reject && o.edge != edge::partial)
    return {status_code::invalid_option, "unknown options::edge", int(o.edge)};
  if (o.start != start::cold && o.start != start::warm)
    return {status_code::invalid_option, "unknown options::start", int(o.start)};
  if (o.start == start::warm && o.method != method::optimal)
    return {status_code::invalid_option, "start::warm is for method::optimal: the published method reads no prices"};
  if (o.iterations < 1 || o.iterations > 100000)
    return {status_code::invalid_option, "options::iterations must be 1 to 100000", o.iterations,
            o.iterations < 1 ? 1 : 100000};
  if (!(o.tau >= 1e-4 && o.tau <= 1e4))
    return {status_code::invalid_option,
            "options::tau must be 1e-4 to 1e4 (a fraction of the largest importance of a tile)"};
  if (o.local_search_steps < 0 || o.local_search_steps > 4096)
    return {status_code::invalid_option, "options::local_search_steps must be 0 to 4096", o.local_search_steps,
            o.local_search_steps < 0 ? 0 : 4096};
  return {};
}

}  // namespace tsenor::detail
