/// \file
/// As much linear algebra in double as the references of the pruners take; for small matrices.
#pragma once

#include <cstdint>
#include <vector>

namespace tsenor_test {

/// A dense row-major matrix.
struct matrix {
  std::int64_t rows = 0, cols = 0;
  std::vector<double> data;

  matrix() = default;
  matrix(std::int64_t rows_, std::int64_t cols_) : rows(rows_), cols(cols_), data(rows_ * cols_, 0.) {}
  matrix(std::int64_t rows_, std::int64_t cols_, const std::vector<float>& values)
      : rows(rows_), cols(cols_), data(values.begin(), values.end()) {}

  double& operator()(std::int64_t i, std::int64_t j) { return data[i * cols + j]; }
  double operator()(std::int64_t i, std::int64_t j) const { return data[i * cols + j]; }
};

matrix product(const matrix& a, const matrix& b);
matrix transposed(const matrix& a);
/// alpha a + beta b.
matrix sum(double alpha, const matrix& a, double beta, const matrix& b);
double dot(const matrix& a, const matrix& b);
void add_to_diagonal(matrix& a, double x);
/// By Gauss and Jordan's elimination with pivots.
matrix inverse(const matrix& a);
/// L, lower triangular with L L^T = a.
matrix cholesky(const matrix& a);

}  // namespace tsenor_test
