/// \file
/// What the handlers for CPU and CUDA share: XLA's buffers as a call of find_mask.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "tsenor/importance.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"
#include "xla/ffi/api/ffi.h"

namespace tsenor_jax {

namespace ffi = xla::ffi;

using mask_buffer = ffi::Result<ffi::Buffer<ffi::PRED>>;

/// A handler's attributes. `as_it_is`: the values are importances; else their magnitudes are.
struct attributes {
  std::int64_t n, m;
  bool published, at_most, partial, as_it_is;

  tsenor::pattern pattern() const { return {int(n), int(m)}; }
  tsenor::options options() const {
    tsenor::options o = published ? tsenor::options::published() : tsenor::options::optimal();
    o.constraint = at_most ? tsenor::constraint::at_most : tsenor::constraint::exactly;
    o.edge = partial ? tsenor::edge::partial : tsenor::edge::reject;
    return o;
  }
};

/// The values as they are, or their magnitudes.
struct value_or_magnitude {
  bool as_it_is;
  template <class T>
  TSENOR_HOST_DEVICE T operator()(T x, std::int64_t, std::int64_t, std::int64_t) const {
    return as_it_is ? x : std::fabs(x);
  }
};

template <class T>
tsenor::matrix_view<const T> view_of(const ffi::AnyBuffer& values) {
  const auto sizes = values.dimensions();
  const std::int64_t rows = sizes[sizes.size() - 2], cols = sizes.back();
  std::int64_t batch = 1;
  for (std::size_t k = 0; k + 2 < sizes.size(); k++) batch *= sizes[k];
  return {static_cast<const T*>(values.untyped_data()), rows, cols, cols, batch, rows * cols};
}

/// Calls find(view, outputs) with the values in their own type.
template <class Find>
ffi::Error with_type(const ffi::AnyBuffer& values, mask_buffer mask, const Find& find) {
  const auto run = [&](auto type) -> ffi::Error {
    using T = decltype(type);
    tsenor::mask_outputs<T> out;
    out.mask = static_cast<std::uint8_t*>(mask->untyped_data());
    const tsenor::status s = find(view_of<T>(values), out);
    if (s.ok()) return ffi::Error::Success();
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, std::string("tsenor: ") + s.message());
  };
  switch (values.element_type()) {
    case ffi::F32:
      return run(float{});
    case ffi::F64:
      return run(double{});
    case ffi::F16:
      return run(tsenor::float16{});
    case ffi::BF16:
      return run(tsenor::bfloat16{});
    case ffi::F8E4M3FN:
      return run(tsenor::float8_e4m3{});
    case ffi::F8E5M2:
      return run(tsenor::float8_e5m2{});
    default:
      return ffi::Error(ffi::ErrorCode::kInvalidArgument, "tsenor: unsupported type of weights");
  }
}

}  // namespace tsenor_jax

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(tsenor_jax::attributes, StructMember<std::int64_t>("n"),
                                      StructMember<std::int64_t>("m"), StructMember<bool>("published"),
                                      StructMember<bool>("at_most"), StructMember<bool>("partial"),
                                      StructMember<bool>("as_it_is"));

/// What JAX calls, in the library for the CPU and in the one for CUDA.
extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* tsenor_jax_find_mask(XLA_FFI_CallFrame* call);
