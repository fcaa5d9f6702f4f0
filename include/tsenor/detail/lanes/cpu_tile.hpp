// A tile in the first-level cache.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstring>

namespace tsenor::detail::TSENOR_MACHINE {

// A tile of numbers, readable with a lane for each row or a lane for each column.
template <class L, class T>
struct cached_tile {
  static constexpr int width = L::width, vector_lanes = L::vector_lanes;
  using lane_value = typename L::template lane_value<T>;

  alignas(64) T by_row[width][width];  // [column][row]: entry k of every row is contiguous
  alignas(64) T by_col[width][width];  // [row][column]

  TSENOR_FN void set(int row, int col, T x) { by_col[row][col] = x; }
  TSENOR_FN void set_row_entry(int k, const lane_value& x) { L::copy(by_row[k], x); }
  TSENOR_FN void set_col_entry(int k, const lane_value& x) { L::copy(by_col[k], x); }
  // Call once all entries are set, by rows (Rows: set_row_entry) or by columns (set_col_entry), before any is read.
  template <bool Rows>
  TSENOR_FN void seal() {
    const auto& from = Rows ? by_row : by_col;
    auto& to = Rows ? by_col : by_row;
    for (int a = 0; a < width; a += vector_lanes)
      for (int b = 0; b < width; b += vector_lanes) {
        using part = decltype(lane_value::part[0] + 0);
        part t[vector_lanes];
        TSENOR_UNROLL for (int k = 0; k < vector_lanes; k++) std::memcpy(&t[k], from[a + k] + b, sizeof t[k]);
        transpose_block<vector_lanes / 2>(t, typename L::lane_sequence{});
        TSENOR_UNROLL for (int k = 0; k < vector_lanes; k++) std::memcpy(to[b + k] + a, &t[k], sizeof t[k]);
      }
  }
  // Entry k of each row, lane i: (i, k), or of each column, lane j: (k, j).
  template <bool Rows>
  TSENOR_FN lane_value entry(int k) const {
    return L::template load<lane_value>(Rows ? by_row[k] : by_col[k]);
  }
  // The arcs of row x, entry x of each column, or those of column x.
  TSENOR_FN lane_value arcs_of(fixed_bool<true>, int x) const { return entry<false>(x); }
  TSENOR_FN lane_value arcs_of(fixed_bool<false>, int x) const { return entry<true>(x); }
  TSENOR_FN lane_value row_entry(int k) const { return entry<true>(k); }
  TSENOR_FN lane_value col_entry(int k) const { return entry<false>(k); }
  // The rows or columns, from which get(k, s) takes part s of entry(k).
  struct lines {
    const T (&x)[width][width];
    TSENOR_FN auto get(int k, int s) const {
      decltype(lane_value::part[0] + 0) r;
      std::memcpy(&r, x[k] + s * vector_lanes, sizeof r);
      return r;
    }
  };
  TSENOR_FN lines entries(bool rows) const { return {rows ? by_row : by_col}; }
  // Exchanges rows and columns, if that is wanted.
  TSENOR_FN void transpose(bool wanted) {
    if (wanted) std::swap(by_row, by_col);
  }
  TSENOR_FN T element(int row, int col) const { return by_row[col][row]; }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
