/// \file
/// Non-owning views of caller-owned matrices. Sizes are 64-bit, strides count elements.
#pragma once

#include <cstdint>

namespace tsenor {

/// A row-major matrix `[rows, cols]`, or `batch` of them with equal shape: element (b, i, j) is
/// `data[b * batch_stride + i * row_stride + j]`. Trivially copyable; owns nothing, so the memory must outlive the
/// work. `T` may be const. The matrices of a batch lie one after the other, or side by side within the rows of a wider
/// matrix; strides are not negative.
template <class T>
struct matrix_view {
  T* data = nullptr;              ///< the first element; may be null if there are none
  std::int64_t rows = 0;          ///< rows of each matrix
  std::int64_t cols = 0;          ///< columns of each matrix
  std::int64_t row_stride = 0;    ///< elements from a row to the next, at least `cols`
  std::int64_t batch = 1;         ///< number of matrices
  std::int64_t batch_stride = 0;  ///< elements from a matrix to the next

  constexpr matrix_view() = default;
  /// A dense matrix.
  constexpr matrix_view(T* data_, std::int64_t rows_, std::int64_t cols_) : matrix_view(data_, rows_, cols_, cols_) {}
  /// A part of a wider matrix, whose rows are `row_stride` elements apart.
  constexpr matrix_view(T* data_, std::int64_t rows_, std::int64_t cols_, std::int64_t row_stride_)
      : data(data_), rows(rows_), cols(cols_), row_stride(row_stride_) {}
  /// `batch` matrices, `batch_stride` elements apart.
  constexpr matrix_view(T* data_, std::int64_t rows_, std::int64_t cols_, std::int64_t row_stride_, std::int64_t batch_,
                        std::int64_t batch_stride_)
      : data(data_), rows(rows_), cols(cols_), row_stride(row_stride_), batch(batch_), batch_stride(batch_stride_) {}
};

}  // namespace tsenor
