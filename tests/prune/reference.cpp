#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tsenor/find_mask.hpp"

namespace tsenor_test {
namespace {

using tsenor::prune::structure;

// The best N of a line of candidates, told by their indices; the first of equal ones.
std::vector<std::int64_t> best_of(const matrix& importance, std::vector<std::int64_t> candidates, int n) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](auto a, auto b) { return importance.data[a] > importance.data[b]; });
  if (static_cast<int>(candidates.size()) > n) candidates.resize(n);
  return candidates;
}

byte_mask mask_by_rows(const reference_case& c, const matrix& importance) {
  byte_mask rows(importance.data.size(), 0);
  for (std::int64_t i = 0; i < importance.rows; ++i) {
    for (std::int64_t left = 0; left < importance.cols; left += c.nm.m) {
      std::vector<std::int64_t> line;
      for (std::int64_t j = left; j < std::min<std::int64_t>(left + c.nm.m, importance.cols); ++j)
        line.push_back(i * importance.cols + j);
      for (const std::int64_t k : best_of(importance, line, c.nm.n)) rows[k] = 1;
    }
  }
  if (c.structure == structure::row_wise) return rows;
  byte_mask both(importance.data.size(), 0);
  for (std::int64_t j = 0; j < importance.cols; ++j) {
    for (std::int64_t top = 0; top < importance.rows; top += c.nm.m) {
      std::vector<std::int64_t> line;
      for (std::int64_t i = top; i < std::min<std::int64_t>(top + c.nm.m, importance.rows); ++i)
        if (rows[i * importance.cols + j] != 0) line.push_back(i * importance.cols + j);
      for (const std::int64_t k : best_of(importance, line, c.nm.n)) both[k] = 1;
    }
  }
  return both;
}

// find_mask on the CPU, which has oracles of its own.
template <int N, int M>
byte_mask transposable_mask(const matrix& importance) {
  byte_mask mask(importance.data.size());
  tsenor::mask_outputs<double> out;
  out.mask = mask.data();
  const tsenor::matrix_view view(importance.data.data(), importance.rows, importance.cols);
  const tsenor::status done = tsenor::find_mask<N, M>(tsenor::cpu_executor{1}, view, out);
  if (!done) throw std::runtime_error(done.message());
  return mask;
}

matrix on_mask(const matrix& w, const byte_mask& mask) {
  matrix kept = w;
  for (std::size_t k = 0; k < mask.size(); ++k)
    if (mask[k] == 0) kept.data[k] = 0;
  return kept;
}

matrix squares(const matrix& a) {
  matrix result = a;
  for (double& x : result.data) x *= x;
  return result;
}

bool is_live(const matrix& gram, std::int64_t j) { return std::isfinite(gram(j, j)) && gram(j, j) > 0; }

// gram without what dead inputs, or numbers that are none, put into it.
matrix cleaned(const matrix& gram) {
  matrix g = gram;
  for (std::int64_t i = 0; i < g.rows; ++i)
    for (std::int64_t j = 0; j < g.cols; ++j)
      if (!is_live(gram, i) || !is_live(gram, j) || !std::isfinite(gram(i, j))) g(i, j) = 0;
  return g;
}

// What a dead input counts for instead of its activations: this share of the smallest live one, or 1.
double of_dead(const matrix& gram, double share) {
  double smallest = 0;
  for (std::int64_t j = 0; j < gram.rows; ++j)
    if (is_live(gram, j) && (smallest == 0 || gram(j, j) < smallest)) smallest = gram(j, j);
  return smallest > 0 ? share * std::sqrt(smallest) : 1;
}

double mean_of_diagonal(const matrix& a) {
  double sum = 0;
  for (std::int64_t j = 0; j < a.rows; ++j) sum += a(j, j);
  return sum / static_cast<double>(a.rows);
}

std::int64_t differences(const byte_mask& a, const byte_mask& b) {
  std::int64_t count = 0;
  for (std::size_t k = 0; k < a.size(); ++k) count += a[k] != b[k];
  return count;
}

// Ten steps of conjugate gradients for one row of x h = y on the mask.
void refit_row(const byte_mask& mask, const matrix& h, const matrix& y, matrix& x, std::int64_t row) {
  const std::int64_t n = h.rows;
  const auto kept = [&](std::int64_t j) { return mask[row * n + j] != 0; };
  const auto times_h = [&](const matrix& v) { return product(v, h); };
  matrix here(1, n), target(1, n);
  for (std::int64_t j = 0; j < n; ++j) {
    here(0, j) = x(row, j);
    target(0, j) = y(row, j);
  }
  matrix residual = sum(1, target, -1, times_h(here));
  for (std::int64_t j = 0; j < n; ++j)
    if (!kept(j)) residual(0, j) = 0;
  matrix direction = residual;
  for (int step = 0; step < 10; ++step) {
    const double square = dot(residual, residual);
    if (std::sqrt(square) <= 1e-4 * std::sqrt(dot(target, target))) break;
    const matrix image = times_h(direction);
    const double length = square / dot(direction, image);
    here = sum(1, here, length, direction);
    residual = sum(1, residual, -length, image);
    for (std::int64_t j = 0; j < n; ++j)
      if (!kept(j)) residual(0, j) = 0;
    direction = sum(1, residual, dot(residual, residual) / square, direction);
  }
  for (std::int64_t j = 0; j < n; ++j) x(row, j) = here(0, j);
}

// The state of ALPS; names as in its paper.
struct alps_state {
  matrix h, y, wide;  // H, Y, W D
  matrix b, z, v;
  byte_mask support;
  double rho = 0.1;
  bool raised = false;

  void begin(const reference_case& c) {
    b = wide;
    support = best_mask(c, squares(b));
    z = on_mask(b, support);
    v = matrix(b.rows, b.cols);
  }
  void step(const reference_case& c) {
    matrix shifted = h;
    add_to_diagonal(shifted, rho);
    b = product(sum(1, sum(1, y, -1, v), rho, z), inverse(shifted));
    const matrix point = sum(1, b, 1 / rho, v);
    support = best_mask(c, squares(point));
    z = on_mask(point, support);
    v = sum(1, v, rho, sum(1, b, -1, z));
  }
};

}  // namespace

byte_mask best_mask(const reference_case& c, const matrix& importance) {
  if (c.structure != structure::transposable) return mask_by_rows(c, importance);
  if (c.nm.n == 2 && c.nm.m == 4) return transposable_mask<2, 4>(importance);
  if (c.nm.n == 4 && c.nm.m == 8) return transposable_mask<4, 8>(importance);
  throw std::invalid_argument("the reference knows 2:4 and 4:8");
}

double relative_error(const matrix& w, const matrix& v, const matrix& gram) {
  const matrix difference = sum(1, v, -1, w);
  return dot(product(difference, gram), difference) / dot(product(w, gram), w);
}

reference_result reference_magnitude(const reference_case& c, const matrix& w) {
  matrix importance = w;
  for (double& x : importance.data) x = std::fabs(x);
  const byte_mask mask = best_mask(c, importance);
  return {mask, on_mask(w, mask)};
}

reference_result reference_wanda(const reference_case& c, const matrix& w, const matrix& gram) {
  const double dead = of_dead(gram, c.structure == structure::transposable ? 1e-5 : 1e-12);
  matrix importance = w;
  for (std::int64_t i = 0; i < w.rows; ++i)
    for (std::int64_t j = 0; j < w.cols; ++j)
      importance(i, j) = std::fabs(w(i, j)) * (is_live(gram, j) ? std::sqrt(gram(j, j)) : dead);
  const byte_mask mask = best_mask(c, importance);
  return {mask, on_mask(w, mask)};
}

reference_result reference_sparsegpt(const reference_case& c, const matrix& w, const matrix& gram,
                                     std::int64_t tokens) {
  const std::int64_t n = w.cols;
  matrix h = cleaned(gram), q = w;
  for (double& x : h.data) x *= 2.0 / static_cast<double>(tokens);
  for (std::int64_t j = 0; j < n; ++j)
    if (!is_live(gram, j)) h(j, j) = 1;
  add_to_diagonal(h, 0.01 * mean_of_diagonal(h));
  const matrix u = transposed(cholesky(inverse(h)));  // U^T U = H^-1
  byte_mask mask(w.data.size());
  for (std::int64_t left = 0; left < n; left += c.nm.m) {
    matrix importance(w.rows, c.nm.m);
    for (std::int64_t i = 0; i < w.rows; ++i) {
      for (int k = 0; k < c.nm.m; ++k) {
        const std::int64_t j = left + k;
        importance(i, k) = std::pow(q(i, j) * (is_live(gram, j) ? 1 / u(j, j) : of_dead(gram, 1e-3)), 2);
      }
    }
    const byte_mask of_panel = best_mask(c, importance);
    for (std::int64_t i = 0; i < w.rows; ++i) {
      for (int k = 0; k < c.nm.m; ++k) {
        const std::int64_t j = left + k;
        mask[i * n + j] = of_panel[i * c.nm.m + k];
        if (mask[i * n + j] != 0) continue;
        const double error = q(i, j) / u(j, j);
        for (std::int64_t right = j + 1; right < n; ++right) q(i, right) -= error * u(j, right);
        q(i, j) = 0;
      }
    }
  }
  return {mask, q};
}

// The authors' schedule of rho, by how many entries of the support have changed. Whether the support has settled.
static bool settles(const reference_case& c, alps_state& s, double changed, double kept, int k, int iterations) {
  if (changed / kept > 0.1) {
    s.rho *= 1.3;
    s.raised = true;
  } else if (changed / kept > 0.005) {
    s.rho *= 1.2;
    s.raised = true;
  } else if (changed > 0.5) {
    if (s.raised) {
      s.rho *= 1.1;
    } else {
      s.rho /= 5;
      if (k < iterations) s.begin(c);
    }
  } else {
    if (s.raised) return true;
    s.rho /= 5;
  }
  s.rho = std::min(s.rho, 1e6);
  return k > 30 && changed / kept < 3e-4;
}

reference_result reference_alps(const reference_case& c, const matrix& w, const matrix& gram, int iterations) {
  const std::int64_t n = w.cols;
  alps_state s;
  matrix g = cleaned(gram);
  const double damping = 0.01 * mean_of_diagonal(g);
  add_to_diagonal(g, damping > 0 ? damping : 1);
  matrix d(n, n), d_inverse(n, n);
  for (std::int64_t j = 0; j < n; ++j) {
    if (!is_live(gram, j)) g(j, j) = std::pow(of_dead(gram, 1e-2), 2);
    d(j, j) = std::sqrt(g(j, j));
    d_inverse(j, j) = 1 / d(j, j);
  }
  s.h = product(product(d_inverse, g), d_inverse);
  s.wide = product(w, d);
  s.y = product(s.wide, s.h);
  s.begin(c);
  byte_mask before = s.support;
  const double kept = static_cast<double>(w.data.size()) * c.nm.n / c.nm.m;
  for (int k = 1; k <= iterations; ++k) {
    s.step(c);
    if (k % 3 != 0) continue;
    const auto changed = static_cast<double>(differences(s.support, before));
    before = s.support;
    if (settles(c, s, changed, kept, k, iterations)) break;
  }
  for (std::int64_t i = 0; i < w.rows; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      if (!is_live(gram, j)) s.b(i, j) = s.wide(i, j);
  const byte_mask mask = best_mask(c, squares(s.b));
  matrix x = on_mask(s.b, mask);
  for (std::int64_t i = 0; i < w.rows; ++i) refit_row(mask, s.h, s.y, x, i);
  return {mask, on_mask(product(x, d_inverse), mask)};
}

}  // namespace tsenor_test
