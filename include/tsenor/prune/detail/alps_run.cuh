// ALPS from its start to its end, for checked arguments.
#pragma once

#include <cstdint>
#include <utility>

#include "tsenor/prune/detail/admm.cuh"
#include "tsenor/prune/detail/alps_schedule.hpp"
#include "tsenor/prune/detail/damped_gram.cuh"
#include "tsenor/prune/detail/spectrum.cuh"
#include "tsenor/prune/detail/support.cuh"

namespace tsenor::prune::detail {
inline namespace TSENOR_ABI {

struct alps_pieces {
  float *y, *b, *v, *z, *side;       // [rows, cols] each
  float *inverse, *scaled, *prices;  // [cols, cols] twice, and [tiles, 2, M]
  std::uint8_t *mask, *before;       // [rows, cols] each
  double* squares;                   // [2, rows]
  unsigned long long* changed;       // one
  alps_pieces(pieces& from, pattern nm, std::int64_t rows, std::int64_t cols)
      : y(from.take<float>(rows * cols)),
        b(from.take<float>(rows * cols)),
        v(from.take<float>(rows * cols)),
        z(from.take<float>(rows * cols)),
        side(from.take<float>(rows * cols)),
        inverse(from.take<float>(cols * cols)),
        scaled(from.take<float>(cols * cols)),
        prices(from.take<float>(((rows - 1) / nm.m + 1) * ((cols - 1) / nm.m + 1) * 2 * nm.m)),
        mask(from.take<std::uint8_t>(rows * cols)),
        before(from.take<std::uint8_t>(rows * cols)),
        squares(from.take<double>(2 * rows)),
        changed(from.take<unsigned long long>(1)) {}
};

// What the host has learnt at the end.
struct alps_progress {
  int iterations = 0, inverses = 0, restarts = 0;
};

template <class Pattern>
class alps_run {
 public:
  alps_run(const handles& on, Pattern nm, const sparsity& rule, matrix_view<const float> weights, const spectrum& h,
           const alps_pieces& m)
      : on_(on), nm_(nm), rule_(rule), weights_(weights), h_(h), m_(m), rows_(weights.rows), cols_(weights.cols) {
    rule_.search.start = start::cold;
    // Whole 4x4 tiles are solved faster without prices.
    warms_ = rule.structure == structure::transposable && rule.search.method == method::optimal && pattern(nm).m > 4;
  }

  // B, with at most so many iterations, or fewer if the support settles.
  status iterate(int most, bool until_settled, alps_progress* progress) {
    alps_schedule schedule;
    status s = begin(schedule.rho);
    for (int k = 1; s && k <= most; ++k) {
      progress->iterations = k;
      const double rho = schedule.rho;
      s = step(float(rho));
      alps_action action = alps_action::go_on;
      if (s && k % alps_schedule::check_every == 0) s = check(schedule, k, &action);
      if (action == alps_action::stop && until_settled) break;
      if (!s || k == most) break;
      if (action == alps_action::begin_again) {
        ++progress->restarts;
        s = begin(schedule.rho);
      } else {
        s = each(dual_step{m_.side, m_.y, m_.z, m_.v, float(rho), float(schedule.rho), cols_});
        if (s && rho != schedule.rho) s = invert(schedule.rho);
      }
    }
    progress->inverses = inverses_;
    return s;
  }

  // The support of B, and the best weights on it that some steps of conjugate gradients find.
  status finish(int steps, const outputs<float>& out) {
    const refit r{m_.mask, m_.z, m_.side, m_.v, m_.b, m_.squares, rows_, cols_};
    status s = each(restore_dead{weights_.data, weights_.row_stride, h_.scale, m_.b, cols_});
    if (s) s = project(m_.b);
    if (s) s = each(copy_weights{m_.y, cols_, m_.side, cols_, nullptr});
    if (s) s = multiply(on_, rows_, cols_, cols_, -1, {m_.z, cols_}, {h_.hessian, cols_}, 1, m_.side, cols_);
    if (s) s = for_each_row(rows_, begin_refit{r, m_.y}, on_.stream);
    for (int k = 0; s && k < steps; ++k) {
      s = multiply(on_, rows_, cols_, cols_, 1, {m_.v, cols_}, {h_.hessian, cols_}, 0, m_.b, cols_);
      if (s) s = for_each_row(rows_, refit_step{r}, on_.stream);
    }
    if (s)
      s = each(unscale{m_.z, h_.scale, m_.mask, out.pruned.data, out.pruned.row_stride, out.mask.data,
                       out.mask.row_stride, cols_});
    return s;
  }

  // Y = W D H, once before iterate().
  status prepare() {
    status s = scaled_weights();
    if (s) s = multiply(on_, rows_, cols_, cols_, 1, {m_.side, cols_}, {h_.hessian, cols_}, 0, m_.y, cols_);
    return s;
  }

 private:
  template <class Body>
  status each(const Body& body) {
    return for_each_element(rows_, cols_, body, on_.stream);
  }

  status scaled_weights() { return each(copy_weights{weights_.data, weights_.row_stride, m_.side, cols_, h_.scale}); }

  status invert(double rho) {
    ++inverses_;
    return shifted_inverse(on_, h_, cols_, float(rho), m_.scaled, m_.inverse);
  }

  // Z = projection of W D, V = 0.
  status begin(double rho) {
    status s = scaled_weights();
    if (s) s = project(m_.side);
    if (s && inverses_ == 0) s = keep_mask();
    if (s) s = each(first_side{m_.y, m_.z, m_.v, m_.side, float(rho), cols_});
    if (s) s = invert(rho);
    return s;
  }

  // B from the right side, and Z from B.
  status step(float rho) {
    status s = multiply(on_, rows_, cols_, cols_, 1, {m_.side, cols_}, {m_.inverse, cols_}, 0, m_.b, cols_);
    if (s) s = each(projection_point{m_.b, m_.v, rho, m_.side, cols_});
    return s ? project(m_.side) : s;
  }

  // z = what the pattern keeps of `point`.
  status project(const float* point) {
    mask_outputs<float> found;
    found.mask = {m_.mask, cols_};
    found.pruned = {m_.z, cols_};
    if (warms_) found.prices = m_.prices;
    const status s = find_support(nm_, rule_, matrix_view<const float>(point, rows_, cols_), found,
                                  saliency{nullptr, true, h_.scale}, on_.stream);
    if (warms_) rule_.search.start = start::warm;
    return s;
  }

  status keep_mask() {
    return tsenor::detail::runtime_status(cudaMemcpyAsync(m_.before, m_.mask, std::size_t(rows_) * std::size_t(cols_),
                                                          cudaMemcpyDeviceToDevice, on_.stream));
  }

  // Waits for the stream, as the host decides what comes next.
  status check(alps_schedule& schedule, int iteration, alps_action* action) {
    unsigned long long changed = 0;
    status s = tsenor::detail::runtime_status(cudaMemsetAsync(m_.changed, 0, sizeof *m_.changed, on_.stream));
    if (s) s = for_each_row(rows_, count_changes{m_.mask, m_.before, cols_, m_.changed}, on_.stream);
    if (s)
      s = tsenor::detail::runtime_status(
          cudaMemcpyAsync(&changed, m_.changed, sizeof changed, cudaMemcpyDeviceToHost, on_.stream));
    if (s) s = tsenor::detail::runtime_status(cudaStreamSynchronize(on_.stream));
    if (!s) return s;
    const pattern nm = nm_;
    *action = schedule.next(std::int64_t(changed), double(rows_) * double(cols_) * nm.n / nm.m, iteration);
    return keep_mask();
  }

  const handles& on_;
  Pattern nm_;
  sparsity rule_;
  matrix_view<const float> weights_;
  const spectrum& h_;
  const alps_pieces& m_;
  std::int64_t rows_, cols_;
  int inverses_ = 0;
  bool warms_ = false;
};

}  // namespace TSENOR_ABI
}  // namespace tsenor::prune::detail
