// What the dykstra stage iterates on: a matrix q, kept in l.plan, a row of it in each lane. A lane holds `rows` x
// `cols` of its entries; sums over a row or a column end in the lane that row() or col() names, and spread_rows() and
// spread_cols() bring factors back from there to the entries. scaled_patches.cuh is the same by patches of the tile.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

template <class L>
class scaled_rows {
 public:
  using real = typename L::real;
  static constexpr int rows = 1, cols = L::width;
  static constexpr bool has_room = true;

  TSENOR_FN explicit scaled_rows(L& l) : l_(l) {}
  TSENOR_FN real get(int, int c) const { return l_.plan.row_entry(c); }
  TSENOR_FN void set(int, int c, const real& value) { l_.plan.set_row_entry(c, value); }
  TSENOR_FN real importance(int, int c) const { return l_.importance.row_entry(c); }

  TSENOR_FN static typename L::index row() { return L::lane(); }
  TSENOR_FN static typename L::index col() { return L::lane(); }
  // f(0, c) combined over each row.
  template <class F, class Combine>
  TSENOR_FN real over_cols(const F& f, const Combine& combine) const {
    real x[4];
    TSENOR_UNROLL for (int c = 0; c < 4; c++) x[c] = f(0, c);
    TSENOR_UNROLL for (int c = 4; c < cols; c++) x[c & 3] = combine(x[c & 3], f(0, c));
    return combine(combine(x[0], x[1]), combine(x[2], x[3]));
  }
  // f(0, c) combined over each column.
  template <class F, class Combine>
  TSENOR_FN real over_rows(const F& f, const Combine& combine) const {
    real x[cols];
    TSENOR_UNROLL for (int c = 0; c < cols; c++) x[c] = f(0, c);
    return folded<cols / 2>(x, combine);
  }
  struct row_values {
    real x[rows];
    TSENOR_FN const real& operator[](int) const { return x[0]; }
  };
  TSENOR_FN static row_values spread_rows(const real& x) { return {{x}}; }
  TSENOR_FN auto spread_cols(const real& x) { return l_.share(x); }
  // Of column j in lane j, from the lane of col().
  TSENOR_FN static real in_order(const real& of_col) { return of_col; }

  // min(q, 1) into l.plan.
  TSENOR_FN void store_capped() {
    TSENOR_UNROLL for (int c = 0; c < cols; c++) l_.plan.set_row_entry(c, smallest(get(0, c), real(1.f)));
    l_.plan.template seal<true>();
  }

 private:
  // In lane k: x[k] combined over all lanes. Overwrites x.
  template <int Half, class Combine>
  TSENOR_FN static real folded(real (&x)[cols], const Combine& combine) {
    TSENOR_UNROLL for (int k = 0; k < Half; k++) x[k] = L::template fold<Half>(x[k], x[k + Half], combine);
    if constexpr (Half > 1)
      return folded<Half / 2>(x, combine);
    else
      return x[0];
  }

  L& l_;
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
