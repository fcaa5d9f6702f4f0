// dykstra: the entropic optimal transport plan by Dykstra's projections (arXiv 2505.23949, its Algorithm 1).
//
// The paper projects S = exp(W / tau) in turn on the row sums, the column sums and, with a correction Q, on S <= 1. The
// product of S and Q is always diag(2^row) exp(W / tau) diag(2^col): the row and column steps multiply rows and
// columns, and the capacity step moves what it cuts off from S to Q. So two potentials carry the whole iteration,
//   S = min(1, q),  q = 2^(scale * w + row + col),
// and an iteration is: row sums of S; column sums of S scaled by the new row factors, not capped again.
// Between absorptions q is scaled by the factors as they come, without an exponential; every few iterations the factors
// are absorbed into the potentials and q is made anew from them, which bounds rounding and underflow (the stabilised
// scaling of Schmitzer, SIAM J. Sci. Comput. 41(3), 2019).
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include "tsenor/detail/problem.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

template <class L>
struct potentials {
  typename L::real row, col;  // of row i in lane i, of column j in lane j
  float scale;                // log2(e) / tau, for importances as in l.importance
};

// Of lane values, and of parts of them.
struct sum_of {
  template <class V>
  TSENOR_FN V operator()(const V& a, const V& b) const {
    return a + b;
  }
};
struct largest_of {
  template <class V>
  TSENOR_FN V operator()(const V& a, const V& b) const {
    return a > b ? a : b;
  }
  template <class T, class Part, int P>
  TSENOR_FN pack<T, Part, P> operator()(const pack<T, Part, P>& a, const pack<T, Part, P>& b) const {
    return largest(a, b);
  }
};

// Which lanes' sums are of rows and columns of the M x M tile.
template <class L>
struct lanes_inside {
  typename L::flag row, col;
};

// The first row and the first column projection: log-sum-exps of what is not capped yet, the largest term taken out.
template <class L, class Scaled>
TSENOR_FN potentials<L> first_projections(Scaled& scaled, const lanes_inside<L>& inside, const typename L::real& n,
                                          float scale) {
  using real = typename L::real;
  const real zero = 0.f, log2_n = L::log2(n);
  const auto log_q = [&](int r, int c) { return scaled.importance(r, c) * real(scale); };
  const real row_top = scaled.over_cols(log_q, largest_of{});
  const auto row_tops = scaled.spread_rows(row_top);
  const real row_sum = scaled.over_cols([&](int r, int c) { return L::exp2(log_q(r, c) - row_tops[r]); }, sum_of{});
  const real row = pick(inside.row, log2_n - row_top - L::log2(row_sum), zero);

  const auto rows = scaled.spread_rows(row);
  const auto row_scaled = [&](int r, int c) { return log_q(r, c) + rows[r]; };
  const real col_top = scaled.over_rows(row_scaled, largest_of{});
  const auto col_tops = scaled.spread_cols(col_top);
  const real col_sum =
      scaled.over_rows([&](int r, int c) { return L::exp2(row_scaled(r, c) - real(col_tops[c])); }, sum_of{});
  return {row, pick(inside.col, log2_n - col_top - L::log2(col_sum), zero), scale};
}

// The scaled matrix q from the potentials.
template <class L, class Scaled>
TSENOR_FN void absorb(const potentials<L>& u, Scaled& scaled) {
  using real = typename L::real;
  const auto row = scaled.spread_rows(u.row);
  const auto col = scaled.spread_cols(u.col);
  TSENOR_UNROLL for (int r = 0; r < Scaled::rows; r++) TSENOR_UNROLL for (int c = 0; c < Scaled::cols; c++)
      scaled.set(r, c, L::exp2(scaled.importance(r, c) * real(u.scale) + row[r] + real(col[c])));
}

// `steps` times rows, columns, capacity, with factors alone; then the potentials take the factors in.
template <class L, class Scaled>
TSENOR_FN void project(const lanes_inside<L>& inside, const typename L::real& n, int steps, Scaled& scaled,
                       potentials<L>& u) {
  using real = typename L::real;
  const real one = 1.f;
  typename Scaled::row_values row_scaling = scaled.spread_rows(one);
  real col_scaling = one;
  for (int step = 0; step < steps; step++) {
    real plan[Scaled::rows][Scaled::cols];
    const auto capped = [&](int r, int c) { return plan[r][c] = L::capped_product(scaled.get(r, c), row_scaling[r]); };
    const real row_factor = pick(inside.row, L::quotient(n, scaled.over_cols(capped, sum_of{})), one);
    const auto row = scaled.spread_rows(row_factor);
    // Where the plan has no room, it is made again, from factors that the compiler cannot tell to be the same.
    const auto again = Scaled::has_room ? row_scaling : scaled.spread_rows(row_scaling[0]);
    const auto row_scaled = [&](int r, int c) {
      return (Scaled::has_room ? plan[r][c] : L::capped_product(scaled.get(r, c), again[r])) * row[r];
    };
    const real col_sum = scaled.over_rows(row_scaled, sum_of{});
    const real col_factor = pick(inside.col, L::quotient(n, col_sum), one);
    TSENOR_UNROLL for (int r = 0; r < Scaled::rows; r++) row_scaling.x[r] = row_scaling[r] * row[r];
    col_scaling = col_scaling * col_factor;
    const auto col = scaled.spread_cols(col_factor);
    TSENOR_UNROLL for (int r = 0; r < Scaled::rows; r++) TSENOR_UNROLL for (int c = 0; c < Scaled::cols; c++)
        scaled.set(r, c, scaled.get(r, c) * real(col[c]));
  }
  u.row = u.row + L::log2(row_scaling[0]);
  u.col = u.col + L::log2(col_scaling);
}

// Iterations between absorptions. 2^x is clamped to [2^-64, 2^64]: what is clamped is next to nothing, or cut off at 1,
// for as long as the factors between two absorptions multiply to less than 2^64.
constexpr int absorb_every = 8;

// `iterations` times rows, columns, capacity; leaves the plan in l.plan.
template <class L>
TSENOR_STAGE potentials<L> dykstra(L& l, const tile_scale& scale, pattern nm, float tau, int iterations) {
  using real = typename L::real;
  typename L::scaled_tile scaled(l);
  const typename L::index side = nm.m;
  const lanes_inside<L> inside{scaled.row() < side, scaled.col() < side};
  const real n = float(nm.n);
  potentials<L> u =
      first_projections(scaled, inside, n, scale.largest > 0.f ? 1.44269504f / (tau * scale.largest) : 0.f);
  absorb(u, scaled);
  for (int done = 1; done < iterations; done += absorb_every) {
    project(inside, n, done + absorb_every < iterations ? absorb_every : iterations - done, scaled, u);
    absorb(u, scaled);
  }
  scaled.store_capped();
  u.col = scaled.in_order(u.col);
  return u;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
