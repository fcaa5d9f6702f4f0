// ALPS's scaled Hessian and its eigenvectors.
#pragma once

#include <cstdint>

#include "tsenor/prune/detail/damped_gram.cuh"
#include "tsenor/prune/detail/dead_inputs.cuh"
#include "tsenor/prune/detail/elements.cuh"
#include "tsenor/prune/detail/libraries.cuh"
#include "tsenor/prune/detail/workspace.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

// What is kept of a layer's inputs. The eigenvectors are the rows of `vectors`; the scale of a dead input is negative.
struct spectrum {
  float *hessian, *vectors, *values, *scale;
  std::int32_t *dead, *info;
  spectrum(pieces& from, std::int64_t n)
      : hessian(from.take<float>(n * n)),
        vectors(from.take<float>(n * n)),
        values(from.take<float>(n)),
        scale(from.take<float>(n)),
        dead(from.take<std::int32_t>(1)),
        info(from.take<std::int32_t>(1)) {}
};

struct spectrum_pieces {
  double *vectors, *values, *scratch, *damping;
  spectrum_pieces(pieces& from, std::int64_t n, int scratch_count)
      : vectors(from.take<double>(n * n)),
        values(from.take<double>(n)),
        scratch(from.take<double>(scratch_count)),
        damping(from.take<double>(1)) {}
};

inline status spectrum_scratch(const handles& on, std::int64_t n, int* count) {
  return solver_status(cusolverDnDsyevd_bufferSize(on.solver, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, int(n),
                                                   nullptr, int(n), nullptr, count));
}

struct find_scale {
  damped_gram g;
  float* scale;
  __device__ void operator()(std::int64_t, std::int64_t j) const {
    scale[j] = g.live(j) ? sqrtf(g(j, j)) : 0.f;  // 0 is for rank_dead_inputs
  }
};

// H = D^-1 G D^-1; its diagonal is 1. Dead inputs have nothing in common with others, whatever their scale.
struct scaled_hessian {
  damped_gram g;
  const float* scale;
  float* hessian;
  double* wide;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    const double entry = i == j ? 1. : double(g(i, j)) / (double(scale[i]) * scale[j]);
    hessian[i * g.n + j] = float(entry);
    wide[i * g.n + j] = entry;
  }
};

struct narrow {
  const double *vectors, *values;
  float *to_vectors, *to_values;
  std::int64_t n;
  __device__ void operator()(std::int64_t i, std::int64_t j) const {
    to_vectors[i * n + j] = float(vectors[i * n + j]);
    if (i == 0) to_values[j] = float(values[j] > 0 ? values[j] : 0.);
  }
};

inline status find_spectrum(const handles& on, const damped_gram& g, double fraction, const spectrum& to,
                            const spectrum_pieces& m, int scratch_count) {
  const std::int64_t n = g.n;
  status s = for_each_row(1, find_damping{g, fraction, m.damping, to.dead}, on.stream);
  if (s) s = for_each_element(1, n, find_scale{g, to.scale}, on.stream);
  if (s) s = for_each_row(1, rank_dead_inputs{to.scale, true, n}, on.stream);
  if (s) s = for_each_element(n, n, scaled_hessian{g, to.scale, to.hessian, m.vectors}, on.stream);
  if (s)
    s = solver_status(cusolverDnDsyevd(on.solver, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, int(n), m.vectors,
                                       int(n), m.values, m.scratch, scratch_count, to.info));
  if (s) s = for_each_element(n, n, narrow{m.vectors, m.values, to.vectors, to.values, n}, on.stream);
  return s;
}

// (H + rho I)^-1 = Q diag(1 / (lambda + rho)) Q^T as the product of a matrix with its transpose.
struct scale_vectors {
  const float *vectors, *values;
  float rho;
  float* to;
  std::int64_t n;
  __device__ void operator()(std::int64_t k, std::int64_t j) const {
    to[k * n + j] = vectors[k * n + j] * rsqrtf(values[k] + rho);
  }
};

inline status shifted_inverse(const handles& on, const spectrum& of, std::int64_t n, float rho, float* scaled,
                              float* inverse) {
  const float one = 1, zero = 0;
  status s = for_each_element(n, n, scale_vectors{of.vectors, of.values, rho, scaled, n}, on.stream);
  // By columns, an eigenvector is a column; the lower triangle is the upper one of the row-major matrix.
  if (s)
    s = blas_status(cublasSsyrk(on.blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, int(n), int(n), &one, scaled, int(n),
                                &zero, inverse, int(n)));
  if (s) s = for_each_element(n, n, mirror_upper{inverse, n}, on.stream);
  return s;
}

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
