/// \file
/// Tensors of any strides as the library reads them: batches of matrices with contiguous rows.
#pragma once

#include <ATen/ATen.h>

#include "tsenor/detail/validate.hpp"

namespace tsenor_torch {

using at::Tensor;

/// Whether a matrix is solved transposed, because its columns lie closer together than its rows: so a transposed view
/// gets the transposed mask, bit for bit, and is not copied. With equal strides the longer side counts as the rows.
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
  return contiguous_rows && tsenor::detail::check_view(x.const_data_ptr(), 1, 1, x.size(1), x.size(2), row_stride_of(x),
                                                       x.size(0), batch_stride_of(x), "")
                                .ok();
}

/// For reading: a copy where the strides do not fit.
inline Tensor readable(const Tensor& t, bool transposed) {
  const Tensor x = matrices_of(t, transposed);
  return fits(x) ? x : x.contiguous();
}

/// Whether the library can write to the tensor itself, whose matrices x are.
inline bool fits_in_place(const Tensor& t, const Tensor& x) { return x.is_alias_of(t) && fits(x); }

/// For writing: `memory` is the tensor's own, or a buffer that write_back() copies from.
struct writable {
  writable(const Tensor& t, bool transposed_) : target(t), transposed(transposed_) {
    memory = matrices_of(t, transposed);
    in_place = fits_in_place(t, memory);
    if (!in_place) memory = at::empty(memory.sizes(), memory.options());
  }
  void write_back() const {
    if (!in_place) target.copy_((transposed ? memory.mT() : memory).view_as(target));
  }

  Tensor target, memory;
  bool transposed, in_place = false;
};

}  // namespace tsenor_torch
