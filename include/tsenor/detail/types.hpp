// What every find_mask asks of its template arguments, and the caller's buffers in the library's own types.
#pragma once

#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor::detail {

// Whether find_mask can be called with these types; if not, compilation ends with what is wrong. Used as the condition
// of an `if constexpr`, so that nothing is instantiated with them, and the one sentence is the only error.
template <class T, class Importance>
constexpr bool check_types() {
  static_assert(is_weight<T>,
                "tsenor: unsupported weight type: use float, double, or a 16- or 8-bit type of tsenor/weight_types.hpp "
                "(with nvcc also __half, __nv_bfloat16, __nv_fp8_e4m3, __nv_fp8_e5m2)");
  static_assert(is_importance<Importance, storage_t<T>>,
                "tsenor: the importance argument must be callable as importance(weight, row, col, batch) and return a "
                "number; the arguments' order is weights, outputs, options, importance, stream");
  static_assert(is_copyable<Importance>,
                "tsenor: the importance argument must be copyable, because it is taken by value");
  return is_weight<T> && is_importance<Importance, storage_t<T>> && is_copyable<Importance>;
}

// The same for a call that runs on the CPU.
template <class T, class Importance>
constexpr bool check_host_types() {
  static_assert(is_for_the_host<Importance>,
                "tsenor: the importance is a lambda for the GPU only: on the CPU it must be __host__ "
                "__device__");
  return check_types<T, Importance>() && is_for_the_host<Importance>;
}

// The same for a call that makes the importance an argument of a kernel.
template <class T, class Importance>
constexpr bool check_kernel_types() {
  static_assert(
      is_kernel_argument<Importance>,
      "tsenor: the importance argument must be trivially copyable, because it is copied to the GPU byte by byte: let "
      "it hold numbers and pointers to device memory, not a std::vector or another owner");
  return check_types<T, Importance>() && is_kernel_argument<Importance>;
}

template <int N, int M>
constexpr void check_static_pattern() {
  static_assert(is_supported(pattern{N, M}), "tsenor: unsupported pattern N:M: choose 1 <= N <= M and 2 <= M <= 64");
}

template <class T>
matrix_view<const storage_t<T>> stored(const matrix_view<T>& v) {
  return {reinterpret_cast<const storage_t<T>*>(v.data), v.rows, v.cols, v.row_stride, v.batch, v.batch_stride};
}
template <class T>
mask_outputs<storage_t<T>> stored(const mask_outputs<T>& out) {
  mask_outputs<storage_t<T>> r;
  r.mask = out.mask;
  r.packed = out.packed;
  r.pruned = {reinterpret_cast<storage_t<T>*>(out.pruned.data), out.pruned.row_stride, out.pruned.batch_stride};
  r.reports = out.reports;
  r.prices = out.prices;
  return r;
}

}  // namespace tsenor::detail
