// Masks of rows alone, and of rows and then columns: what one weight of a tile is told by its neighbours.
#pragma once

#include <cstdint>

#include "tsenor/detail/config.hpp"

namespace tsenor::prune::detail {

// Whether entry `j` is one of the `n` largest of `width`; of equal ones the first are taken.
template <class Value>
TSENOR_HOST_DEVICE bool kept_in_row(const Value* row, int width, int j, int n) {
  int before = 0;
  for (int k = 0; k < width; ++k) before += row[k] > row[j] || (row[k] == row[j] && k < j);
  return before < n;
}

// The same of the entries of a column that are kept so far; `worth` and `kept` point to the column's first entry.
template <class Value>
TSENOR_HOST_DEVICE bool kept_in_column(const Value* worth, const std::uint8_t* kept, int stride, int height, int i,
                                       int n) {
  int before = 0;
  for (int k = 0; k < height; ++k) {
    const Value other = worth[k * stride], mine = worth[i * stride];
    before += kept[k * stride] != 0 && (other > mine || (other == mine && k < i));
  }
  return kept[i * stride] != 0 && before < n;
}

}  // namespace tsenor::prune::detail
