// SparseGPT's factor of the inverse Hessian.
#pragma once

#include <cstdint>

#include "tsenor/prune/detail/damped_gram.cuh"
#include "tsenor/prune/detail/dead_inputs.cuh"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/libraries.cuh"
#include "tsenor/prune/detail/workspace.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

// U, upper triangular with U^T U = H^-1. With J the reversal of order, and L the lower Cholesky factor of J H J,
//
//     H = (J L J) (J L J)^T, and so U = (J L J)^-1 = J L^-1 J:
//
// one factorisation and one triangular inverse, where inverting H and factoring that would take three and lose more
// digits. J A J of a dense matrix is its elements in reverse.
// The inverse of U's diagonal is negative for dead inputs: there it only ranks, since their rows of U are 0 beside it.
struct factor_pieces {
  float *hessian, *factor, *inverse_diagonal, *scratch;
  double* damping;
  std::int32_t *dead, *info;
  factor_pieces(pieces& from, std::int64_t n, int scratch_count)
      : hessian(from.take<float>(n * n)),
        factor(from.take<float>(n * n)),
        inverse_diagonal(from.take<float>(n)),
        scratch(from.take<float>(scratch_count)),
        damping(from.take<double>(1)),
        dead(from.take<std::int32_t>(1)),
        info(from.take<std::int32_t>(1)) {}
};

inline status factor_scratch(const handles& on, std::int64_t n, int* count) {
  return solver_status(cusolverDnSpotrf_bufferSize(on.solver, CUBLAS_FILL_MODE_UPPER, int(n), nullptr, int(n), count));
}

// The reversed Hessian, and the identity to be turned into the inverse.
struct reversed_hessian {
  damped_gram h;
  float *reversed, *identity;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    reversed[(h.n - 1 - i) * h.n + h.n - 1 - j] = h(i, j);
    identity[i * h.n + j] = i == j ? 1.f : 0.f;
  }
};

// Puts the elements of the inverse in reverse. Where the Hessian had no factor, takes its diagonal alone instead.
struct finish_factor {
  damped_gram h;
  const std::int32_t* info;
  float* factor;
  float* inverse_diagonal;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const std::int64_t here = i * h.n + j, there = h.n * h.n - 1 - here;
    const bool factored = *info == 0;
    if (here <= there) {
      const float mine = factor[here], other = factor[there];
      factor[here] = factored ? other : alone(i, j);
      if (here < there) factor[there] = factored ? mine : alone(h.n - 1 - i, h.n - 1 - j);
      if (i == j) {
        inverse_diagonal[i] = ranked(i, factor[here]);
        inverse_diagonal[h.n - 1 - i] = ranked(h.n - 1 - i, factor[there]);
      }
    }
  }
  __device__ float ranked(std::int64_t i, float diagonal) const { return h.live(i) ? 1 / diagonal : 0.f; }
  __device__ float alone(std::int64_t i, std::int64_t j) const { return i == j ? rsqrtf(h(i, i)) : 0.f; }
};

inline status make_inverse_factor(const handles& on, const damped_gram& h, double fraction, const factor_pieces& m,
                                  int scratch_count) {
  const std::int64_t n = h.n;
  const float one = 1;
  status s = for_each_row(1, find_damping{h, fraction, m.damping, m.dead}, on.stream);
  if (s) s = for_each_element(n, n, reversed_hessian{h, m.hessian, m.factor}, on.stream);
  // By columns, the upper factor R (A = R^T R) is by rows the lower one, L; and its inverse is L's.
  if (s)
    s = solver_status(cusolverDnSpotrf(on.solver, CUBLAS_FILL_MODE_UPPER, int(n), m.hessian, int(n), m.scratch,
                                       scratch_count, m.info));
  if (s)
    s = blas_status(cublasStrsm(on.blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                                int(n), int(n), &one, m.hessian, int(n), m.factor, int(n)));
  if (s) s = for_each_element(n, n, finish_factor{h, m.info, m.factor, m.inverse_diagonal}, on.stream);
  if (s) s = for_each_row(1, rank_dead_inputs{m.inverse_diagonal, true, n}, on.stream);
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
