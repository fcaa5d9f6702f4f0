/// \file
/// One call of find_mask as a fuzzer's input describes it, with all of its memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "checker.hpp"
#include "input.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_fuzz {

inline constexpr std::uint8_t poison = 0xa5;

/// Sizes and strides, in elements; every side of a matrix is at most three tiles.
struct layout {
  std::int64_t rows, cols, row_stride, batch, batch_stride;

  static layout taken(input& in, int m) {
    layout l;
    const int step = in.toss() ? m : 1;  // whole tiles, or any size
    l.rows = step * in.take(0, 2 * m / step + 1);
    l.cols = step * in.take(0, 2 * m / step + 1);
    l.row_stride = l.cols + in.take(0, 5);
    l.batch = in.take(0, 3);
    l.batch_stride = l.rows * l.row_stride + in.take(0, 9);
    return l;
  }
  std::size_t elements() const { return rows * cols == 0 ? 0 : std::size_t(batch * batch_stride); }
  std::int64_t tiles(int m) const {
    return batch * tsenor_test::tiles_along(rows, m) * tsenor_test::tiles_along(cols, m);
  }
  std::int64_t at(std::int64_t b, std::int64_t i, std::int64_t j) const {
    return b * batch_stride + i * row_stride + j;
  }
};

/// Elements behind `offset` poisoned ones, in a block that ends where they do, so that the sanitizer sees a read or
/// write behind them, and a changed poison tells of one before.
template <class T>
class block {
 public:
  block(std::size_t size, int offset) : offset_(std::size_t(offset)), all_(offset_ + size) {
    std::memset(static_cast<void*>(all_.data()), poison, all_.size() * sizeof(T));
  }
  T* data() { return all_.data() + offset_; }
  const T* data() const { return all_.data() + offset_; }
  std::size_t size() const { return all_.size() - offset_; }
  bool front_is_whole() const { return poisoned(0, offset_); }
  bool untouched() const { return poisoned(0, all_.size()); }
  bool poisoned_at(std::int64_t k) const { return poisoned(offset_ + std::size_t(k), 1); }

 private:
  bool poisoned(std::size_t first, std::size_t count) const {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(all_.data() + first);
    for (std::size_t k = 0; k < count * sizeof(T); ++k)
      if (bytes[k] != poison) return false;
    return true;
  }

  std::size_t offset_;
  std::vector<T> all_;
};

/// Options of which some are out of range.
inline tsenor::options taken_options(input& in) {
  tsenor::options o;
  o.method = in.take(0, 3) == 0 ? tsenor::method::published : tsenor::method::optimal;
  o.constraint = in.toss() ? tsenor::constraint::at_most : tsenor::constraint::exactly;
  o.edge = in.toss() ? tsenor::edge::partial : tsenor::edge::reject;
  o.start = in.take(0, 3) == 0 ? tsenor::start::warm : tsenor::start::cold;
  constexpr int iterations[] = {1, 2, 7, 20, 60, 0, -1, 100001};
  constexpr double taus[] = {0.005, 1e-4, 1e4, 1, 0.1, 0, -1, 1e300};
  constexpr int steps[] = {10, 0, 1, 100, 4096, 3, -1, 4097};
  const bool usual = in.take(0, 3) != 0;
  o.iterations = usual ? 20 : in.choose(iterations);
  o.tau = usual ? 0.005 : in.choose(taus);
  o.local_search_steps = usual ? 10 : in.choose(steps);
  return o;
}

inline bool in_range(const tsenor::options& o, bool prices) {
  const bool start = o.start == tsenor::start::cold || (o.method == tsenor::method::optimal && prices);
  return start && o.iterations >= 1 && o.iterations <= 100000 && o.tau >= 1e-4 && o.tau <= 1e4 &&
         o.local_search_steps >= 0 && o.local_search_steps <= 4096;
}

/// Any bits; small integers, full of ties; or one value with a few others.
template <class T>
T taken_weight(input& in, int kind) {
  if (kind == 0) return in.take<T>();
  const std::int8_t byte = in.take<std::int8_t>();
  return tsenor_test::encoded<T>(kind == 1 ? byte : byte > 96 ? byte / 8.0 : 1.0);
}

/// `[size]` weights that the rest of the input repeats itself in, each time with other low bits.
template <class T>
void fill(input in, T* weights, std::size_t size) {
  const int kind = in.take(0, 2);
  input source = in;
  for (std::size_t k = 0; k < size; ++k) {
    if (source.left() < sizeof(T)) source = in;
    weights[k] = taken_weight<T>(source, kind);
  }
}

}  // namespace tsenor_fuzz
