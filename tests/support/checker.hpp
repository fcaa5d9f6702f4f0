/// \file
/// An independent judge of masks: counts, sums and comparisons that share no code with the library.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "small_floats.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tsenor_test {

/// The extent of tile `index` along a side of `size` elements.
struct tile_span {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

inline tile_span span_of_tile(std::int64_t index, std::int64_t size, int m) {
  return {index * m, std::min<std::int64_t>(size, (index + 1) * m)};
}

inline std::int64_t tiles_along(std::int64_t size, int m) { return (size + m - 1) / m; }

/// Whether `count` entries in a line of a tile are allowed; tiles smaller than m x m always keep at most n.
inline bool count_is_allowed(std::int64_t count, int n, tsenor::constraint c, bool full_tile) {
  return c == tsenor::constraint::exactly && full_tile ? count == n : count <= n;
}

/// What is wrong with one tile of a mask, empty if nothing is.
inline std::string violation_in_tile(const std::uint8_t* mask, std::int64_t row_stride, tile_span rows, tile_span cols,
                                     tsenor::pattern p, tsenor::constraint c) {
  const bool full = rows.size() == p.m && cols.size() == p.m;
  std::vector<std::int64_t> in_row(rows.size()), in_col(cols.size());
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    for (std::int64_t j = cols.begin; j < cols.end; ++j) {
      const std::uint8_t keep = mask[i * row_stride + j];
      if (keep > 1) return "byte " + std::to_string(keep) + " at " + std::to_string(i) + ", " + std::to_string(j);
      in_row[i - rows.begin] += keep;
      in_col[j - cols.begin] += keep;
    }
  }
  for (std::size_t i = 0; i < in_row.size(); ++i) {
    if (!count_is_allowed(in_row[i], p.n, c, full)) {
      return "row " + std::to_string(rows.begin + std::int64_t(i)) + " keeps " + std::to_string(in_row[i]);
    }
  }
  for (std::size_t j = 0; j < in_col.size(); ++j) {
    if (!count_is_allowed(in_col[j], p.n, c, full)) {
      return "column " + std::to_string(cols.begin + std::int64_t(j)) + " keeps " + std::to_string(in_col[j]);
    }
  }
  return "";
}

/// For EXPECT_FEASIBLE.
inline testing::AssertionResult is_feasible(const char* mask_text, const char*, const char* constraint_text,
                                            tsenor::matrix_view<const std::uint8_t> mask, tsenor::pattern p,
                                            tsenor::constraint c) {
  for (std::int64_t b = 0; b < mask.batch; ++b) {
    const std::uint8_t* matrix = mask.data + b * mask.batch_stride;
    for (std::int64_t ti = 0; ti < tiles_along(mask.rows, p.m); ++ti) {
      for (std::int64_t tj = 0; tj < tiles_along(mask.cols, p.m); ++tj) {
        const std::string found = violation_in_tile(matrix, mask.row_stride, span_of_tile(ti, mask.rows, p.m),
                                                    span_of_tile(tj, mask.cols, p.m), p, c);
        if (found.empty()) continue;
        return testing::AssertionFailure()
               << mask_text << " breaks " << p.n << ":" << p.m << " under " << constraint_text << " in matrix " << b
               << ", tile " << ti << ", " << tj << ": " << found;
      }
    }
  }
  return testing::AssertionSuccess();
}

/// Every tile of `mask`, a matrix_view<const std::uint8_t>, keeps as many weights in every row and column as it may.
#define EXPECT_FEASIBLE(mask, pattern, constraint) \
  EXPECT_PRED_FORMAT3(::tsenor_test::is_feasible, mask, pattern, constraint)
#define ASSERT_FEASIBLE(mask, pattern, constraint) \
  ASSERT_PRED_FORMAT3(::tsenor_test::is_feasible, mask, pattern, constraint)

/// The importance, in double, that the default functor and its replacement rules give a weight of type `T`: its
/// magnitude, 0 for NaN, the largest finite value of the arithmetic type (float, or double for double) for an infinity.
template <class T>
double importance_of(T weight) {
  const double largest =
      std::is_same_v<T, double> ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  const double magnitude = std::abs(decoded(weight));
  return std::isnan(magnitude) ? 0.0 : std::min(magnitude, largest);
}

/// The importances of a whole array of weights.
template <class T>
std::vector<double> importances_of(const std::vector<T>& weights) {
  std::vector<double> importances(weights.size());
  std::transform(weights.begin(), weights.end(), importances.begin(), [](T w) { return importance_of(w); });
  return importances;
}

/// The importance that a mask keeps of a run of `count` entries.
inline double kept_value(const double* importance, const std::uint8_t* mask, std::size_t count) {
  double value = 0;
  for (std::size_t k = 0; k < count; ++k) value += mask[k] ? importance[k] : 0.0;
  return value;
}

}  // namespace tsenor_test
