#include "matrix.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace tsenor_test {

double dot(const matrix& a, const matrix& b) {
  return std::inner_product(a.data.begin(), a.data.end(), b.data.begin(), 0.0);
}

matrix sum(double alpha, const matrix& a, double beta, const matrix& b) {
  matrix result = a;
  for (std::size_t k = 0; k < a.data.size(); ++k) result.data[k] = alpha * a.data[k] + beta * b.data[k];
  return result;
}

void add_to_diagonal(matrix& a, double x) {
  for (std::int64_t j = 0; j < a.rows; ++j) a(j, j) += x;
}

matrix cholesky(const matrix& a) {
  matrix l(a.rows, a.rows);
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = a(i, j);
      for (std::int64_t k = 0; k < j; ++k) sum -= l(i, k) * l(j, k);
      l(i, j) = i == j ? std::sqrt(sum) : sum / l(j, j);
    }
  }
  return l;
}

matrix product(const matrix& a, const matrix& b) {
  matrix c(a.rows, b.cols);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t k = 0; k < a.cols; ++k)
      for (std::int64_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

matrix transposed(const matrix& a) {
  matrix t(a.cols, a.rows);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  return t;
}

matrix inverse(const matrix& a) {
  const std::int64_t n = a.rows;
  matrix left = a, right(n, n);
  add_to_diagonal(right, 1);
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i)
      if (std::fabs(left(i, k)) > std::fabs(left(pivot, k))) pivot = i;
    for (std::int64_t j = 0; j < n; ++j) {
      std::swap(left(k, j), left(pivot, j));
      std::swap(right(k, j), right(pivot, j));
    }
    const double scale = 1 / left(k, k);
    for (std::int64_t j = 0; j < n; ++j) {
      left(k, j) *= scale;
      right(k, j) *= scale;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = left(i, k);
      for (std::int64_t j = 0; j < n; ++j) {
        left(i, j) -= factor * left(k, j);
        right(i, j) -= factor * right(k, j);
      }
    }
  }
  return right;
}

}  // namespace tsenor_test
