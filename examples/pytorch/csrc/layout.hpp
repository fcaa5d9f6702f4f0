/// \file
/// Tensors of any strides as the library reads them: batches of matrices with contiguous rows.
#pragma once

#include <ATen/ATen.h>

#include "tsenor/detail/validate.hpp"

namespace tsenor_torch {

using at::Tensor;

/// Whether a matrix is solved transposed, because its columns lie closer together than its rows: so a transposed view gets the
/// transposed mask, bit for bit, and is not copied. With equal strides the longer side counts as the rows.
inline bool lies_transposed(const Tensor& t) {
  return t.stride(-2) != t.stride(-1) ? t.stride(-2) < t.stride(-1) : t.size(-2) < t.size(-1);
}

/// `[batch, rows, cols]`; a view if the strides allow it.
inline Tensor matrices_of(const Tensor& t, bool transposed) {
  const Tensor x = transposed ? t.mT() : t;
  return x.dim() == 2 ? x.unsqueeze(0) : x.flatten(0, -3);
}

inline std::int64_t row_stride_of(const Tensor& x) { return x.size(1) > 1 ? x.stride(1) : x.size(2); }
inline std::int64_t batch_stride_of(const Tensor& x) {
  return x.size(0) > 1 ? x.stride(0) : x.size(1) * row_stride_of(x);
}

/// Whether the library takes these strides.
inline bool fits(const Tensor& x) {
  const bool contiguous_rows = x.size(2) <= 1 || x.stride(2) == 1;
  return contiguous_rows && tsenor::detail::check_view(x.data_ptr(), 1, 1, x.size(1), x.size(2), row_stride_of(x),
                                                       x.size(0), batch_stride_of(x))
                                .ok();
}

/// For reading: a copy where the strides do not fit.
inline Tensor readable(const Tensor& t, bool transposed) {
  const Tensor x = matrices_of(t, transposed);
  return fits(x) ? x : x.contiguous();
}

/// For writing: `memory` is part of the tensor, or a buffer that write_back() copies from.
class writable {
 public:
  writable(const Tensor& t, bool transposed) : target_(t), transposed_(transposed), memory(matrices_of(t, transposed)) {
    in_place_ = memory.is_alias_of(t) && fits(memory);
    if (!in_place_) memory = at::empty(memory.sizes(), memory.options());
  }
  bool in_place() const { return in_place_; }
  void write_back() const {
    if (!in_place_) target_.copy_((transposed_ ? memory.mT() : memory).view_as(target_));
  }

 private:
  Tensor target_;
  bool transposed_, in_place_ = false;

 public:
  Tensor memory;
};

}  // namespace tsenor_torch
