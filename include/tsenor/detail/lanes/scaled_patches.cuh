// The matrix of the dykstra stage (see scaled_rows.hpp) by patches: a thread holds a patch of the tile in registers, of
// `rows` x `patch_cols` entries, in a grid of `patch_cols` x `rows` threads. Slot (r, c) of a thread is entry (r ^
// across, c ^ down) of its patch, so that threads beside and below each other exchange halves of their sums with no
// selection of what to keep. With 64 lanes it holds the same patch of each quarter of the tile: part s of a slot is 32
// rows further down, and the slots from patch_cols on are 32 columns further to the right.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

namespace tsenor::detail::TSENOR_MACHINE {

template <class L>
class scaled_patches {
 public:
  using real = typename L::real;
  static constexpr int parts = L::parts;
  static constexpr int patch_cols = L::group == 32 ? 8 : 4;
  static constexpr int rows = L::group / patch_cols, cols = parts * patch_cols;
  static constexpr bool has_room = parts == 1;  // for a plan beside the matrix, in registers

  TSENOR_FN explicit scaled_patches(L& l) : l_(l) {}
  TSENOR_FN real get(int r, int c) const { return x_[r][c]; }
  TSENOR_FN void set(int r, int c, const real& value) { x_[r][c] = value; }
  TSENOR_FN real importance(int r, int c) const {
    real x;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) x.part[s] =
        l_.importance.element(row_of(r) + 32 * s, col_of(c));
    return x;
  }

  TSENOR_FN static typename L::index row() { return in_parts(row_of(0)); }
  TSENOR_FN static typename L::index col() { return in_parts(col_of(0)); }
  // f(r, c) combined over each row.
  template <class F, class Combine>
  TSENOR_FN static real over_cols(const F& f, const Combine& combine) {
    real x[rows];
    TSENOR_UNROLL for (int r = 0; r < rows; r++) {
      x[r] = f(r, 0);
      TSENOR_UNROLL for (int c = 1; c < cols; c++) x[r] = combine(x[r], f(r, c));
    }
    return gathered<rows, 1>(x, combine);
  }
  // f(r, c) combined over each column.
  template <class F, class Combine>
  TSENOR_FN static real over_rows(const F& f, const Combine& combine) {
    real x[cols];
    TSENOR_UNROLL for (int c = 0; c < cols; c++) {
      x[c] = f(0, c);
      TSENOR_UNROLL for (int r = 1; r < rows; r++) x[c] = combine(x[c], f(r, c));
    }
    if constexpr (parts == 2) {
      TSENOR_UNROLL for (int c = 0; c < patch_cols; c++) x[c] = L::template fold<32>(x[c], x[c + patch_cols], combine);
    }
    return gathered<patch_cols, rows>(x, combine);
  }
  template <int Count>
  struct values {
    real x[Count];
    TSENOR_FN const real& operator[](int k) const { return x[k]; }
  };
  struct col_values : values<patch_cols> {
    TSENOR_FN float operator[](int c) const { return this->x[c % patch_cols].part[c / patch_cols]; }
  };
  using row_values = values<rows>;
  TSENOR_FN static row_values spread_rows(const real& x) { return spread<row_values, rows, 1>(x); }
  TSENOR_FN static col_values spread_cols(const real& x) { return spread<col_values, patch_cols, rows>(x); }
  // Of column j in lane j, from the lane of col().
  TSENOR_FN static real in_order(const real& of_col) {
    const int from = L::my_lane() % patch_cols * rows + L::my_lane() / patch_cols;
    real x;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) x.part[s] = L::at(of_col, from + 32 * s);
    return x;
  }

  // min(q, 1) into l.plan.
  TSENOR_FN void store_capped() {
    for_each_entry([&](int r, int c, int s) {
      if constexpr (L::plan_in_place) held(r, c, s) = l_.importance.element(row_of(r) + 32 * s, col_of(c));
      l_.plan.set(row_of(r) + 32 * s, col_of(c), smallest(x_[r][c], real(1.f)).part[s]);
    });
    l_.plan.template seal<true>();
  }
  // The importances back to where the plan took their place.
  TSENOR_FN void restore_importance() {
    L::barrier();
    for_each_entry([&](int r, int c, int s) { l_.importance.set(row_of(r) + 32 * s, col_of(c), held(r, c, s)); });
    l_.importance.template seal<true>();
  }

 private:
  template <class F>
  TSENOR_FN static void for_each_entry(const F& f) {
    TSENOR_UNROLL for (int r = 0; r < rows; r++) TSENOR_UNROLL for (int c = 0; c < cols; c++)
        TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) f(r, c, s);
  }
  TSENOR_FN float& held(int r, int c, int s) { return l_.aside[(r * cols + c) * parts + s]; }
  TSENOR_FN static int across() { return L::my_lane() % rows; }
  TSENOR_FN static int down() { return L::my_lane() / rows; }
  TSENOR_FN static int row_of(int r) { return rows * down() + (r ^ across()); }
  TSENOR_FN static int col_of(int c) { return patch_cols * across() + (c % patch_cols ^ down()) + c / patch_cols * 32; }
  TSENOR_FN static typename L::index in_parts(int first) {
    typename L::index x;
    TSENOR_UNROLL_PARTS for (int s = 0; s < parts; s++) x.part[s] = first + 32 * s;
    return x;
  }

  // Slot 0 of a thread, combined over Count threads that are Step lanes apart: of slot k of the k-th thread from it.
  // Overwrites x.
  template <int Count, int Step, class Combine>
  TSENOR_FN static real gathered(real* x, const Combine& combine) {
    TSENOR_UNROLL for (int h = Count / 2; h > 0; h /= 2) TSENOR_UNROLL for (int k = 0; k < h; k++) x[k] =
        combine(x[k], L::from_lane_beside(x[k + h], h * Step));
    return x[0];
  }
  // Slot k of a thread: x of the k-th thread from it.
  template <class Values, int Count, int Step>
  TSENOR_FN static Values spread(const real& x) {
    Values r;
    r.x[0] = x;
    TSENOR_UNROLL for (int h = 1; h < Count; h *= 2) TSENOR_UNROLL for (int k = 0; k < h; k++) r.x[k + h] =
        L::from_lane_beside(r.x[k], h * Step);
    return r;
  }

  L& l_;
  real x_[rows][cols];
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
