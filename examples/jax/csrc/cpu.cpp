// The handler that JAX calls on the CPU.
#include "find_mask.hpp"
#include "tsenor/find_mask.hpp"

namespace tsenor_jax {

ffi::Error find_mask(ffi::AnyBuffer values, mask_buffer mask, attributes a) {
  return with_type(values, mask, [&](const auto& view, const auto& out) {
    return tsenor::find_mask(tsenor::cpu_executor{}, a.pattern(), view, out, a.options(),
                             value_or_magnitude{a.as_it_is});
  });
}

}  // namespace tsenor_jax

XLA_FFI_DEFINE_HANDLER_SYMBOL(tsenor_jax_find_mask, tsenor_jax::find_mask,
                              xla::ffi::Ffi::Bind()
                                  .Arg<xla::ffi::AnyBuffer>()
                                  .Ret<xla::ffi::Buffer<xla::ffi::PRED>>()
                                  .Attrs<tsenor_jax::attributes>());
