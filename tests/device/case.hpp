/// \file
/// One call of find_mask as the device tests see it: where everything lies, what came out, and whether it holds
/// together. Plain C++, so that the CPU's side can be compiled by the host's compiler alone.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <ostream>
#include <vector>

#include "support/checker.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/report.hpp"

namespace tsenor_test {

/// Sizes of weights and outputs. Padding is counted in elements and lies behind every row and every matrix.
struct layout {
  tsenor::pattern nm;
  std::int64_t rows, cols;
  std::int64_t row_padding = 0;
  std::int64_t batch = 1;
  std::int64_t batch_padding = 0;

  std::int64_t row_stride() const { return cols + row_padding; }
  std::int64_t batch_stride() const { return rows * row_stride() + batch_padding; }
  std::size_t elements() const { return static_cast<std::size_t>(batch * batch_stride()); }
  std::int64_t tile_cols() const { return tiles_along(cols, nm.m); }
  std::size_t tiles() const { return static_cast<std::size_t>(batch * tiles_along(rows, nm.m) * tile_cols()); }
  std::int64_t word_bytes() const { return nm.m <= 8 ? 1 : nm.m <= 16 ? 2 : nm.m <= 32 ? 4 : 8; }
  std::int64_t packed_row_stride() const { return tile_cols() + row_padding; }
  std::int64_t packed_batch_stride() const { return rows * packed_row_stride() + batch_padding; }
  std::size_t packed_bytes() const { return static_cast<std::size_t>(batch * packed_batch_stride() * word_bytes()); }

  template <class T>
  tsenor::matrix_view<T> view(T* data) const {
    return {data, rows, cols, row_stride(), batch, batch_stride()};
  }
};

/// How GoogleTest prints a layout.
inline void PrintTo(const layout& l, std::ostream* out) {
  *out << l.nm.n << ":" << l.nm.m << ", " << l.batch << " x " << l.rows << " x " << l.cols << ", padding "
       << l.row_padding << " and " << l.batch_padding;
}

/// All outputs of a call, on the host, padding included.
template <class T>
struct solution_of {
  std::vector<std::uint8_t> mask;
  std::vector<std::uint8_t> packed;
  std::vector<T> pruned;
  std::vector<tsenor::tile_report> reports;

  double value() const {
    double sum = 0;
    for (const auto& r : reports) sum += r.value;
    return sum;
  }
  double bound() const {
    double sum = 0;
    for (const auto& r : reports) sum += r.bound;
    return sum;
  }
};

template <class T>
tsenor::mask_outputs<T> outputs_at(const layout& l, std::uint8_t* mask, std::uint8_t* packed, T* pruned,
                                   tsenor::tile_report* reports) {
  tsenor::mask_outputs<T> out;
  out.mask = {mask, l.row_stride(), l.batch_stride()};
  out.packed = {packed, l.packed_row_stride(), l.packed_batch_stride()};
  out.pruned = {pruned, l.row_stride(), l.batch_stride()};
  out.reports = reports;
  return out;
}

/// The byte mask without its padding must be right, and the three forms of the mask must say the same; padding in all
/// of them must still be what `fill` says.
template <class T>
void expect_consistent(const layout& l, const std::vector<T>& weights, const solution_of<T>& s, tsenor::constraint kept,
                       std::uint8_t fill) {
  EXPECT_FEASIBLE(l.view(static_cast<const std::uint8_t*>(s.mask.data())), l.nm, kept);
  solution_of<T> expected = s;
  std::memset(expected.packed.data(), fill, expected.packed.size());
  std::memset(static_cast<void*>(expected.pruned.data()), fill, expected.pruned.size() * sizeof(T));
  std::vector<std::uint8_t> padding(s.mask.size(), fill);
  for (std::int64_t b = 0; b < l.batch; ++b) {
    for (std::int64_t i = 0; i < l.rows; ++i) {
      const std::int64_t row = b * l.batch_stride() + i * l.row_stride();
      std::uint8_t* const words =
          &expected.packed[(b * l.packed_batch_stride() + i * l.packed_row_stride()) * l.word_bytes()];
      std::memset(words, 0, l.tile_cols() * l.word_bytes());
      for (std::int64_t j = 0; j < l.cols; ++j) {
        const bool keep = s.mask[row + j] != 0;
        const std::int64_t bit = j / l.nm.m * l.word_bytes() * 8 + j % l.nm.m;
        words[bit / 8] |= static_cast<std::uint8_t>(keep << bit % 8);
        std::memset(static_cast<void*>(&expected.pruned[row + j]), 0, sizeof(T));
        if (keep) expected.pruned[row + j] = weights[row + j];
        padding[row + j] = s.mask[row + j];
      }
    }
  }
  EXPECT_EQ(s.mask, padding) << "the byte mask's padding was written";
  EXPECT_EQ(s.packed, expected.packed) << "the packed mask is not the byte mask, or its padding was written";
  EXPECT_EQ(std::memcmp(s.pruned.data(), expected.pruned.data(), s.pruned.size() * sizeof(T)), 0)
      << "pruned is not mask ? weight : +0.0, or its padding was written";
}

/// What find_mask on the CPU gives by magnitude, its buffers filled with `fill` before.
solution_of<float> solve_on_cpu(const layout& l, const std::vector<float>& weights, const tsenor::options& opts,
                                std::uint8_t fill);

}  // namespace tsenor_test
