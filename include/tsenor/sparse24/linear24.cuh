/// \file
/// The products of a linear layer on sparse tensor cores where that is faster, by measurement: forward and input
/// gradient with a 2:4 transposable weight matrix, the weight gradient with an estimate of the output gradient
/// (mvue.hpp).
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusparseLt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <tuple>
#include <type_traits>

#include "tsenor/detail/abi.hpp"
#include "tsenor/sparse24/dense_product.cuh"
#include "tsenor/sparse24/format_check.cuh"
#include "tsenor/sparse24/mvue.cuh"
#include "tsenor/sparse24/sparse_product.cuh"

namespace tsenor {
namespace sparse24 {
inline namespace TSENOR_ABI {

/// What was measured for one product of a shape, in milliseconds of device time, and what follows from it.
struct product_choice {
  bool sparse = false;    ///< sparse tensor cores are used; else the dense product, with the pruned weights
  bool own_form = false;  ///< compress.cuh's form is the library's, byte for byte; else use linear24::vendors_compress
  /// Of the weight gradient with compressing, which it needs each time; infinite where cuSPARSELt refuses the shape.
  float sparse_ms = std::numeric_limits<float>::infinity();
  float dense_ms = 0;
  float vendors_compress_ms = 0;
  status outcome;  ///< why cuSPARSELt refuses the shape, where it does
};
struct linear_choice {
  product_choice forward, input_gradient, weight_gradient;
  std::size_t workspace = 0;  ///< bytes that each product may use
};

/// A weight matrix in the forms that its products read; those that are not chosen may be null.
struct weight_forms {
  const void* pruned = nullptr;      ///< `[out_features, in_features]`, 0 where not kept: for dense products
  const void* weights = nullptr;     ///< compressed W, for forward()
  const void* transposed = nullptr;  ///< compressed W^T, for input_gradient()
};

/// The output gradient `[tokens, out_features]`: itself for a dense weight gradient, else what compress_mvue() makes of
/// it.
struct gradient_forms {
  const void* dense = nullptr;
  const void* compressed = nullptr;
};

/// Plans, searched algorithms and choices, kept for each shape. The handles are the caller's and must outlive this.
///
/// Products of float16 are dense. Use plan() and measure() once for a shape; both wait for the GPU. From then on
/// forward(), input_gradient() and weight_gradient() only enqueue on the caller's stream, with the caller's workspace,
/// and can be captured in a graph. Not thread-safe, as cuBLAS handles are not: one for each thread and device.
///
/// \tparam T  __half, __nv_bfloat16, or the library's type of the same layout
template <class T>
class linear24 {
 public:
  linear24(const cusparseLtHandle_t& library, cublasHandle_t blas) : library_(library), blas_(blas, type) {}

  /// Plans a shape; `*scratch` becomes the bytes of device memory that measure() needs.
  status plan(const linear_shape& shape, std::size_t* scratch) {
    auto& e = entries_[key(shape)];
    e = std::make_unique<entry>();
    plan(e->forward, forward_of(shape));
    plan(e->input_gradient, input_gradient_of(shape));
    plan(e->weight_gradient, weight_gradient_of(shape), product_layout::a_first);
    *scratch =
        std::max({layout(e->forward, forward_of(shape)).end, layout(e->input_gradient, input_gradient_of(shape)).end,
                  layout(e->weight_gradient, weight_gradient_of(shape)).end});
    return {};
  }

  /// Searches the algorithms, compares compressed forms and times sparse against dense.
  ///
  /// \param scratch           device memory of the size that plan() said, at a multiple of 256; overwritten
  /// \param steps_per_compress how many steps a compressed operand serves: what the vendor's compress costs a step,
  ///                           where that has to be used, is its time divided by this
  /// \return invalid_option without a plan() before; errors of CUDA and of the libraries
  status measure(const linear_shape& shape, void* scratch, cudaStream_t stream, double steps_per_compress = 1) {
    entry* const e = find(shape);
    if (e == nullptr) return not_planned();
    const auto forward = [&](const void* w, const void* x, void* y) { return blas_.forward(shape, x, w, y, stream); };
    const auto input_gradient = [&](const void* w, const void* dy, void* dx) {
      return blas_.input_gradient(shape, dy, w, dx, stream);
    };
    const auto weight_gradient = [&](const void* dy, const void* x, void* dw) {
      return blas_.weight_gradient(shape, dy, x, dw, stream);
    };
    status s = measure(e->forward, forward_of(shape), scratch, stream, forward);
    if (s.ok()) s = measure(e->input_gradient, input_gradient_of(shape), scratch, stream, input_gradient);
    if (s.ok()) s = measure(e->weight_gradient, weight_gradient_of(shape), scratch, stream, weight_gradient);
    if (!s.ok()) return s;
    for (direction* d : {&e->forward, &e->input_gradient}) {
      product_choice& c = d->choice;
      const double compress = c.own_form ? 0 : c.vendors_compress_ms / std::max(1.0, steps_per_compress);
      c.sparse = c.outcome.ok() && c.sparse_ms + compress <= c.dense_ms;
    }
    product_choice& c = e->weight_gradient.choice;
    c.sparse = c.outcome.ok() && c.sparse_ms <= c.dense_ms;
    e->measured = true;
    return {};
  }

  /// What is used for a shape; false before measure().
  bool choice(const linear_shape& shape, linear_choice* result) const {
    const entry* const e = find(shape);
    if (e == nullptr || !e->measured) return false;
    const auto workspace = [](const direction& d) { return d.choice.sparse ? d.product.workspace() : 0; };
    *result = {e->forward.choice, e->input_gradient.choice, e->weight_gradient.choice,
               std::max({workspace(e->forward), workspace(e->input_gradient), workspace(e->weight_gradient)})};
    return true;
  }

  /// y `[tokens, out_features]` = x w^T. `workspace`: as many bytes as choice() says, at a multiple of 16.
  status forward(const linear_shape& shape, const void* x, const weight_forms& w, void* y, void* workspace,
                 cudaStream_t stream) const {
    const entry* const e = find(shape);
    if (e == nullptr || !e->measured) return not_planned();
    if (!e->forward.choice.sparse) return w.pruned ? blas_.forward(shape, x, w.pruned, y, stream) : no_form();
    return w.weights ? e->forward.product.run(w.weights, x, y, workspace, stream) : no_form();
  }
  /// dx `[tokens, in_features]` = dy w.
  status input_gradient(const linear_shape& shape, const void* dy, const weight_forms& w, void* dx, void* workspace,
                        cudaStream_t stream) const {
    const entry* const e = find(shape);
    if (e == nullptr || !e->measured) return not_planned();
    if (!e->input_gradient.choice.sparse)
      return w.pruned ? blas_.input_gradient(shape, dy, w.pruned, dx, stream) : no_form();
    return w.transposed ? e->input_gradient.product.run(w.transposed, dy, dx, workspace, stream) : no_form();
  }
  /// dw `[out_features, in_features]` = dy^T x; on sparse tensor cores if choice() says so and there is a compressed
  /// form.
  status weight_gradient(const linear_shape& shape, const gradient_forms& dy, const void* x, void* dw, void* workspace,
                         cudaStream_t stream) const {
    const entry* const e = find(shape);
    if (e == nullptr || !e->measured) return not_planned();
    if (dy.compressed == nullptr) return dy.dense ? blas_.weight_gradient(shape, dy.dense, x, dw, stream) : no_form();
    if (!e->weight_gradient.choice.outcome.ok()) return e->weight_gradient.choice.outcome;
    return e->weight_gradient.product.run(dy.compressed, x, dw, workspace, stream);
  }

  /// The vendor's compress, for where product_choice::own_form is false: of the pruned W `[out_features, in_features]`
  /// or of W^T `[in_features, out_features]`, both dense row-major. vendors_size() tells the bytes of the result and of
  /// the buffer.
  status vendors_compress(const linear_shape& shape, operand which, const void* pruned, void* compressed, void* buffer,
                          cudaStream_t stream) const {
    const entry* const e = find(shape);
    if (e == nullptr) return not_planned();
    const direction& d = of(*e, which);
    return d.choice.outcome.ok() ? d.product.compress(pruned, compressed, buffer, stream) : d.choice.outcome;
  }
  status vendors_size(const linear_shape& shape, operand which, std::size_t* compressed, std::size_t* buffer) const {
    const entry* const e = find(shape);
    if (e == nullptr) return not_planned();
    *compressed = of(*e, which).product.compressed_size();
    *buffer = of(*e, which).product.compress_buffer();
    return {};
  }

 private:
  using stored = tsenor::detail::storage_t<T>;
  static_assert(sizeof(T) == 2, "2:4 products here are for 16-bit types");
  static constexpr cudaDataType type = std::is_same_v<stored, bfloat16> ? CUDA_R_16BF : CUDA_R_16F;

  struct direction {
    sparse_product product;
    product_choice choice;
    product_layout layout = product_layout::a_last;  // a_first: of the weight gradient
  };
  struct entry {
    direction forward, input_gradient, weight_gradient;
    bool measured = false;
  };
  struct sizes {
    std::int64_t m, k, n;
  };
  using shape_key = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

  static shape_key key(const linear_shape& s) { return {s.out_features, s.in_features, s.tokens}; }
  static sizes forward_of(const linear_shape& s) { return {s.out_features, s.in_features, s.tokens}; }
  static sizes input_gradient_of(const linear_shape& s) { return {s.in_features, s.out_features, s.tokens}; }
  static sizes weight_gradient_of(const linear_shape& s) { return {s.out_features, s.tokens, s.in_features}; }
  static const direction& of(const entry& e, operand which) {
    return which == operand::weights ? e.forward : e.input_gradient;
  }
  entry* find(const linear_shape& shape) const {
    const auto at = entries_.find(key(shape));
    return at == entries_.end() ? nullptr : at->second.get();
  }
  static status not_planned() {
    return {status_code::invalid_option, "this shape has no plan: call linear24::plan and linear24::measure first"};
  }
  static status not_the_own_form() {
    return {status_code::not_divisible,
            "the weight gradient is dense: compress_mvue's form is not the library's, or features or tokens are no "
            "multiples of 64"};
  }
  static status no_form() {
    return {
        status_code::invalid_pointer,
        "the form of the weights that linear24::choice asks for is null: pruned for dense products, else compressed"};
  }

  /// Where measure() keeps what in its scratch.
  struct scratch_layout {
    std::size_t a, own, vendors, buffer, x, y, workspace, workspace_bytes, differences, end;
  };
  static scratch_layout layout(const direction& d, const sizes& s) {
    constexpr std::size_t room_for_search = std::size_t(64) << 20;
    scratch_layout r{};
    const auto next = [&](std::size_t bytes) {
      const std::size_t at = r.end;
      r.end += (bytes + 255) / 256 * 256;
      return at;
    };
    r.a = next(std::size_t(s.m * s.k) * sizeof(T));
    r.own = next(compressed_size(s.m, s.k));
    r.vendors = next(d.product.compressed_size());
    r.buffer = next(d.product.compress_buffer());
    r.x = next(std::size_t(s.n * s.k) * sizeof(T));
    r.y = next(std::size_t(s.n * s.m) * sizeof(T));
    r.workspace_bytes = std::max(d.product.workspace(), room_for_search);
    r.workspace = next(r.workspace_bytes);
    r.differences = next(sizeof(std::uint32_t));
    return r;
  }

  /// A shape that the library refuses is a dense one. So is float16: the kernels that cuSPARSELt 0.8 finds fastest for
  /// it give wrong results once the workspace is not the one of its search.
  void plan(direction& d, const sizes& n, product_layout layout = product_layout::a_last) const {
    d.layout = layout;
    d.choice.outcome = d.product.plan(library_, type, n.m, n.k, n.n, layout);
    if (d.choice.outcome.ok() && type == CUDA_R_16F)
      d.choice.outcome = {status_code::invalid_option,
                          "float16 products are dense: cuSPARSELt's give wrong results; use bfloat16 for sparse ones"};
  }

  /// A part of the scratch.
  static void* part(void* scratch, std::size_t offset) { return static_cast<char*>(scratch) + offset; }

  template <class Dense>
  status measure(direction& d, const sizes& n, void* scratch, cudaStream_t stream, const Dense& dense) {
    const scratch_layout at = layout(d, n);
    T *const a = static_cast<T*>(part(scratch, at.a)), *const x = static_cast<T*>(part(scratch, at.x));
    void* const y = part(scratch, at.y);
    status s = fill(a, std::size_t(n.m * n.k), stream);
    if (s.ok()) s = fill(x, std::size_t(n.n * n.k), stream);
    if (s.ok()) s = device_ms([&] { return dense(a, x, y); }, stream, &d.choice.dense_ms);
    if (s.ok() && d.choice.outcome.ok()) d.choice.outcome = measure_sparse(d, n, at, scratch, stream);
    return s;
  }

  status measure_sparse(direction& d, const sizes& n, const scratch_layout& at, void* scratch, cudaStream_t stream) {
    product_choice& c = d.choice;
    T *const a = static_cast<T*>(part(scratch, at.a)), *const x = static_cast<T*>(part(scratch, at.x));
    void* const y = part(scratch, at.y);
    void *const compressed = part(scratch, at.vendors), *const buffer = part(scratch, at.buffer),
                *const workspace = part(scratch, at.workspace);
    const format_buffers<T> buffers{a, part(scratch, at.own), compressed, buffer,
                                    static_cast<std::uint32_t*>(part(scratch, at.differences))};
    status s = check_format(d.product, n.m, n.k, buffers, &c.own_form, stream);
    const auto compress = [&] { return d.product.compress(a, compressed, buffer, stream); };
    if (s.ok()) s = device_ms(compress, stream, &c.vendors_compress_ms);
    if (s.ok()) s = d.product.search(compressed, x, y, workspace, stream);
    if (s.ok() && d.product.workspace() > at.workspace_bytes)
      s = d.product.plan(library_, type, n.m, n.k, n.n, d.layout);
    const bool of_gradient = d.layout == product_layout::a_first;
    if (s.ok() && of_gradient && !c.own_form) return not_the_own_form();
    const auto run = [&] {  // a as the gradient [k, m], which it has the size of
      const matrix_view<const T> gradient(a, n.k, n.m);
      const status drawn = of_gradient ? compress_mvue(gradient, compressed, random_state{}, stream) : status{};
      return drawn.ok() ? d.product.run(compressed, x, y, workspace, stream) : drawn;
    };
    return s.ok() ? device_ms(run, stream, &c.sparse_ms) : s;
  }

  const cusparseLtHandle_t& library_;
  dense_products blas_;
  std::map<shape_key, std::unique_ptr<entry>> entries_;
};

}  // namespace TSENOR_ABI
}  // namespace sparse24
}  // namespace tsenor
