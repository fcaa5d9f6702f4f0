/// \file
/// How much a weight matters: functors (weight, row, col, batch) -> importance >= 0.
///
/// `weight` is a double for double weights and a float for all other types; the importance returned is of that type.
/// NaN and negative importances count as 0, infinite ones as the largest finite value; tile_report::replaced counts
/// them. (NaN is recognised by its bits, so fast-math builds agree.) A functor is copied by value. It must be pure,
/// because it is called more than once for an element, and must not throw: an exception ends the program. On the GPU it
/// must be trivially copyable and callable in `__device__` code.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "tsenor/detail/config.hpp"

namespace tsenor {

/// |w|. The default.
struct magnitude {
  /// |weight|, for every row, column and batch.
  template <class T>
  TSENOR_HOST_DEVICE T operator()(T weight, std::int64_t, std::int64_t, std::int64_t) const {
    return std::fabs(weight);
  }
};

/// w^2. Each tile is scaled by a power of two before it is squared, so neither tiny nor huge weights are lost.
struct squared {
  /// |w|: find_mask squares what this returns, see detail::squares_after_scaling.
  template <class T>
  TSENOR_HOST_DEVICE T operator()(T weight, std::int64_t, std::int64_t, std::int64_t) const {
    return std::fabs(weight);
  }
};

/// |w_ij| * column_norms[j], Wanda's importance (arXiv 2306.11695). `column_norms` is a `[cols]` array in the same
/// memory as the weights (device memory for the GPU). It must stay alive until the work is done. All matrices of a
/// batch share it. A null or misaligned pointer gives invalid_pointer, an output within it overlapping_buffers.
struct wanda {
  const float* column_norms = nullptr;  ///< `[cols]`, not negative; such as the L2 norms of the layer's inputs
  /// |weight| times the norm of its column.
  template <class T>
  TSENOR_HOST_DEVICE T operator()(T weight, std::int64_t, std::int64_t col, std::int64_t) const {
    return std::fabs(weight) * T(column_norms[col]);
  }
};

namespace detail {

template <class Importance>
inline constexpr bool squares_after_scaling = std::is_same_v<Importance, squared>;

/// The type of the weight that an importance functor takes, and of the importance that it returns.
template <class Weight>
using importance_value = std::conditional_t<std::is_same_v<Weight, double>, double, float>;

// Whether the host's compiler sees the functor itself. Of a lambda with a `__device__` call operator it sees a stand-in
// that cannot be called, and of a `__host__ __device__` one a stand-in that is not trivially copyable: what they are,
// only the device's pass can tell, and does.
template <class Importance>
inline constexpr bool is_seen_as_it_is =
#if defined(__CUDACC_EXTENDED_LAMBDA__) && !defined(__CUDA_ARCH__)
    !__nv_is_extended_device_lambda_closure_type(Importance) &&
    !__nv_is_extended_host_device_lambda_closure_type(Importance);
#else
    true;
#endif

// Whether a functor can be called on the CPU as far as its kind goes: not a lambda whose operator is `__device__`
// alone.
template <class Importance>
inline constexpr bool is_for_the_host =
#if defined(__CUDACC_EXTENDED_LAMBDA__)
    !__nv_is_extended_device_lambda_closure_type(Importance);
#else
    true;
#endif

template <class Importance, class Weight>
inline constexpr bool is_importance =
    !is_seen_as_it_is<Importance> ||
    std::is_invocable_r_v<importance_value<Weight>, const Importance&, importance_value<Weight>, std::int64_t,
                          std::int64_t, std::int64_t>;

template <class Importance>
inline constexpr bool is_copyable = !is_seen_as_it_is<Importance> || std::is_copy_constructible_v<Importance>;

// Whether a functor can be an argument of a kernel.
template <class Importance>
inline constexpr bool is_kernel_argument = !is_seen_as_it_is<Importance> || std::is_trivially_copyable_v<Importance>;

}  // namespace detail
}  // namespace tsenor
