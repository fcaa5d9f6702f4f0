// dykstra: the entropic optimal transport plan by Dykstra's projections (arXiv 2505.23949, its Algorithm 1).
//
// The paper projects S = exp(W / tau) in turn on the row sums, the column sums and, with a correction Q, on S <= 1. The
// product of S and Q is always diag(2^row) exp(W / tau) diag(2^col): the row and column steps multiply rows and columns, and
// the capacity step moves what it cuts off from S to Q. So two potentials carry the whole iteration,
//   S = min(1, q),  q = 2^(scale * w + row + col),
// and an iteration is: row sums of S; column sums of S scaled by the new row factors, not capped again.
// Between absorptions q is scaled by the factors as they come, without an exponential; every few iterations the factors are
// absorbed into the potentials and q is made anew from them, which bounds rounding and underflow (the stabilised scaling of
// Schmitzer, SIAM J. Sci. Comput. 41(3), 2019).
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_DYKSTRA_STAGE)
#define TSENOR_DYKSTRA_STAGE

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/stages/load.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

template <class L>
struct potentials {
  typename L::real row, col;  // of row i in lane i, of column j in lane j
  float scale;                // log2(e) / tau, for importances as in l.importance
};

// log2 of q in column k, but for the column's potential.
template <class L>
TSENOR_FN typename L::real log2_q(const L& l, const potentials<L>& u, int k) {
  return l.importance.row_entry(k) * typename L::real(u.scale) + u.row;
}

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
};

// In lane k: x[k] combined over all lanes. Overwrites x.
template <class L, int Half = L::width / 2, class Combine>
TSENOR_FN typename L::real over_rows(typename L::real (&x)[L::width], const Combine& combine) {
  TSENOR_UNROLL for (int k = 0; k < Half; k++) x[k] = L::template fold<Half>(x[k], x[k + Half], combine);
  if constexpr (Half > 1)
    return over_rows<L, Half / 2>(x, combine);
  else
    return x[0];
}

// The first row and the first column projection: log-sum-exps of what is not capped yet, the largest term taken out.
template <class L>
TSENOR_FN void first_projections(L& l, const typename L::flag& inside, const typename L::real& log2_n,
                                 potentials<L>& u) {
  using real = typename L::real;
  const auto log_q = [&](int k) { return log2_q(l, u, k); };
  const real zero = 0.f;
  u.row = zero;
  real x[L::width], top = log_q(0), sum = zero;
  TSENOR_UNROLL for (int k = 1; k < L::width; k++) top = largest(top, log_q(k));
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) sum = sum + L::exp2(log_q(k) - top);
  u.row = pick(inside, log2_n - top - L::log2(sum), zero);
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) x[k] = log_q(k);
  const real col_top = over_rows<L>(x, largest_of{});
  const auto tops = l.share(col_top);
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) x[k] = L::exp2(log_q(k) - real(tops[k]));
  const real col_sum = over_rows<L>(x, sum_of{});
  u.col = pick(inside, log2_n - col_top - L::log2(col_sum), zero);
}

// q from the potentials.
template <class L>
TSENOR_FN void absorb(L& l, const potentials<L>& u, typename L::working_rows& q) {
  using real = typename L::real;
  const auto col = l.share(u.col);
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) q.set(k, L::exp2(log2_q(l, u, k) + real(col[k])));
}

// `steps` times rows, columns, capacity, with factors alone; then the potentials take the factors in.
template <class L>
TSENOR_FN void project(L& l, const typename L::flag& inside, const typename L::real& n, int steps,
                       typename L::working_rows& q, potentials<L>& u) {
  using real = typename L::real;
  const real one = 1.f;
  real row_scaling = one, col_scaling = one;
  for (int step = 0; step < steps; step++) {
    real plan[L::width], sum[4] = {0.f, 0.f, 0.f, 0.f};
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) {
      plan[k] = L::capped_product(q[k], row_scaling);
      sum[k & 3] = sum[k & 3] + plan[k];
    }
    const real row_factor = pick(inside, L::quotient(n, (sum[0] + sum[1]) + (sum[2] + sum[3])), one);
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) plan[k] = plan[k] * row_factor;
    const real col_sum = over_rows<L>(plan, sum_of{});
    const real col_factor = pick(inside, L::quotient(n, col_sum), one);
    row_scaling = row_scaling * row_factor;
    col_scaling = col_scaling * col_factor;
    const auto factor = l.share(col_factor);
    TSENOR_UNROLL for (int k = 0; k < L::width; k++) q.set(k, q[k] * real(factor[k]));
  }
  u.row = u.row + L::log2(row_scaling);
  u.col = u.col + L::log2(col_scaling);
}

// Iterations between absorptions. 2^x is clamped to [2^-64, 2^64]: what is clamped is next to nothing, or cut off at 1, for
// as long as the factors between two absorptions multiply to less than 2^64.
constexpr int absorb_every = 8;

// `iterations` times rows, columns, capacity; leaves the plan in l.plan.
template <class L>
TSENOR_STAGE potentials<L> dykstra(L& l, const tile_scale& scale, pattern nm, float tau, int iterations) {
  using real = typename L::real;
  const typename L::flag inside = L::lane() < typename L::index(nm.m);
  const real n = float(nm.n), one = 1.f;
  typename L::working_rows q(l.plan);
  potentials<L> u;
  u.scale = scale.largest > 0.f ? 1.44269504f / (tau * scale.largest) : 0.f;
  first_projections(l, inside, L::log2(n), u);
  absorb(l, u, q);
  for (int done = 1; done < iterations; done += absorb_every) {
    project(l, inside, n, done + absorb_every < iterations ? absorb_every : iterations - done, q, u);
    absorb(l, u, q);
  }
  TSENOR_UNROLL for (int k = 0; k < L::width; k++) l.plan.set_row_entry(k, smallest(q[k], one));
  l.plan.template seal<true>();
  return u;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
