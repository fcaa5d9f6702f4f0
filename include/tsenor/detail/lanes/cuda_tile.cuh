// A tile in shared memory.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

namespace tsenor::detail::TSENOR_MACHINE {

// A tile of numbers in shared memory. The odd stride lets 32 lanes read rows or columns without a bank conflict.
template <class L, class T>
struct shared_tile {
  static constexpr int width = L::width, parts = L::parts;
  using lane_value = typename L::template lane_value<T>;

  T* x;
  TSENOR_FN void set(int row, int col, T value) { x[row * (width + 1) + col] = value; }
  TSENOR_FN void set_row_entry(int k, const lane_value& value) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) set(L::my_lane() + 32 * s, k, value.part[s]);
  }
  TSENOR_FN void set_col_entry(int k, const lane_value& value) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) set(k, L::my_lane() + 32 * s, value.part[s]);
  }
  // Call once all entries are set, by rows (Rows) or by columns, before any is read.
  template <bool Rows>
  TSENOR_FN void seal() {
    __syncwarp();
  }
  // Entry k of each row or column.
  template <bool Rows>
  TSENOR_FN lane_value entry(int k) const {
    lane_value r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) r.part[s] = entry_part<Rows>(k, s);
    return r;
  }
  // The arcs of row k, entry k of each column, or those of column k.
  TSENOR_FN lane_value arcs_of(fixed_bool<true>, int k) const { return entry<false>(k); }
  TSENOR_FN lane_value arcs_of(fixed_bool<false>, int k) const { return entry<true>(k); }
  TSENOR_FN lane_value arcs_of(bool of_row, int k) const {
    lane_value r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) {
      const int me = L::my_lane() + 32 * s;
      r.part[s] = element(of_row ? k : me, of_row ? me : k);
    }
    return r;
  }
  TSENOR_FN lane_value row_entry(int k) const { return entry<true>(k); }
  TSENOR_FN lane_value col_entry(int k) const { return entry<false>(k); }
  // Part s of entry(k).
  template <bool Rows>
  TSENOR_FN T entry_part(int k, int s) const {
    return Rows ? element(L::my_lane() + 32 * s, k) : element(k, L::my_lane() + 32 * s);
  }
  // The rows or columns, from which get(k, s) takes part s of entry(k).
  struct lines {
    const T* first;
    int step, part_step;
    TSENOR_FN T get(int k, int s) const { return first[k * step + s * part_step]; }
  };
  TSENOR_FN lines entries(bool rows) const {
    constexpr int stride = width + 1;
    if (rows) return {x + L::my_lane() * stride, 1, 32 * stride};
    return {x + L::my_lane(), stride, 32};
  }
  // Exchanges rows and columns of the tiles that `wanted` is true for.
  TSENOR_FN void transpose(bool wanted) {
    const int me = L::my_lane();
    __syncwarp();
    TSENOR_ROLLED for (int k = 0; k < width; k++) if (wanted && me < k) {
      const T a = element(me, k), b = element(k, me);
      set(me, k, b);
      set(k, me, a);
    }
    __syncwarp();
  }
  TSENOR_FN T element(int row, int col) const { return x[row * (width + 1) + col]; }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
