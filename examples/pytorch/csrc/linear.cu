// linear24 for PyTorch: one for each device and type.
#include "linear.hpp"

#include <map>
#include <memory>
#include <utility>

#include "tsenor/sparse24/compress.cuh"
#include "tsenor/sparse24/linear24.cuh"
#include "tsenor/sparse24/mvue.cuh"

namespace tsenor_torch {
namespace {

using tsenor::status;
namespace sparse24 = tsenor::sparse24;

/// `scales`: none for operands of the weights' own type.
template <class T, class... Scales>
status compress(const compress_request& r, cudaStream_t stream, const Scales&... scales) {
  const tsenor::matrix_view<T> weights(static_cast<T*>(r.weights), r.rows, r.cols, r.row_stride);
  const sparse24::operands to{r.compressed, r.transposed};
  tsenor::mask_outputs<T> out;
  out.mask = r.mask;
  out.pruned = static_cast<T*>(r.pruned);
  if (r.keep) return sparse24::compress(weights, {r.keep, r.rows, r.cols}, out.pruned, to, scales..., stream);
  return sparse24::find_mask_and_compress(weights, out, to, scales..., tsenor::magnitude{}, stream);
}

template <class T>
class products_of : public linear_products {
 public:
  products_of() : made_(make()) {}
  const status& made() const { return made_; }

  status plan(const layer_sizes& s, std::size_t* scratch) override { return layers_->plan(shape(s), scratch); }
  status measure(const layer_sizes& s, void* scratch, double steps, cudaStream_t stream) override {
    return layers_->measure(shape(s), scratch, stream, steps);
  }
  bool choice(const layer_sizes& s, double* numbers, std::size_t* workspace) const override {
    sparse24::linear_choice c;
    if (!layers_->choice(shape(s), &c)) return false;
    for (const sparse24::product_choice* p : {&c.forward, &c.input_gradient, &c.weight_gradient}) {
      *numbers++ = p->sparse;
      *numbers++ = p->own_form;
      *numbers++ = double(p->sparse_ms);
      *numbers++ = double(p->dense_ms);
      *numbers++ = double(p->vendors_compress_ms);
    }
    *workspace = c.workspace;
    return true;
  }
  status forward(const layer_sizes& s, const void* x, const void* pruned, const void* compressed, void* y,
                 void* workspace, cudaStream_t stream) const override {
    return layers_->forward(shape(s), x, {pruned, compressed, nullptr}, y, workspace, stream);
  }
  status input_gradient(const layer_sizes& s, const void* dy, const void* pruned, const void* transposed, void* dx,
                        void* workspace, cudaStream_t stream) const override {
    return layers_->input_gradient(shape(s), dy, {pruned, nullptr, transposed}, dx, workspace, stream);
  }
  status weight_gradient(const layer_sizes& s, const void* x, const void* dy, const void* compressed, void* dw,
                         void* workspace, cudaStream_t stream) const override {
    return layers_->weight_gradient(shape(s), {dy, compressed}, x, dw, workspace, stream);
  }
  status vendors_size(const layer_sizes& s, bool of_transposed, std::size_t* compressed,
                      std::size_t* buffer) const override {
    return layers_->vendors_size(shape(s), which(of_transposed), compressed, buffer);
  }
  status vendors_compress(const layer_sizes& s, bool of_transposed, const void* pruned, void* compressed, void* buffer,
                          cudaStream_t stream) const override {
    return layers_->vendors_compress(shape(s), which(of_transposed), pruned, compressed, buffer, stream);
  }

 private:
  static sparse24::linear_shape shape(const layer_sizes& s) { return {s.out_features, s.in_features, s.tokens}; }
  static sparse24::operand which(bool of_transposed) {
    return of_transposed ? sparse24::operand::transposed : sparse24::operand::weights;
  }
  status make() {
    status s = sparse24::status_of(cusparseLtInit(&library_));
    if (s.ok()) s = sparse24::status_of(cublasCreate(&blas_));
    if (s.ok()) layers_ = std::make_unique<sparse24::linear24<T>>(library_, blas_);
    return s;
  }

  cusparseLtHandle_t library_;
  cublasHandle_t blas_ = nullptr;
  std::unique_ptr<sparse24::linear24<T>> layers_;
  status made_;  // last: make() fills the others
};

template <class T>
linear_products* products_on(int device, status* why) {
  static std::map<int, std::unique_ptr<products_of<T>>> all;
  auto& mine = all[device];
  if (mine == nullptr) mine = std::make_unique<products_of<T>>();
  *why = mine->made();
  return why->ok() ? mine.get() : nullptr;
}

}  // namespace

status compress_on_cuda(const compress_request& r, bool brain, CUstream_st* stream) {
  return brain ? compress<__nv_bfloat16>(r, stream) : compress<__half>(r, stream);
}

status compress_float8_on_cuda(const compress_request& r, weight_type type, const sparse24::scales& by,
                               CUstream_st* stream) {
  if (type == weight_type::float32) return compress<float>(r, stream, by);
  return type == weight_type::bfloat16 ? compress<__nv_bfloat16>(r, stream, by) : compress<__half>(r, stream, by);
}

std::string cusparselt_version() {
  std::string dotted;
  for (const libraryPropertyType part : {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL}) {
    int number = 0;
    cusparseLtGetProperty(part, &number);
    dotted += (part == MAJOR_VERSION ? "" : ".") + std::to_string(number);
  }
  return dotted;
}

status compress_mvue_on_cuda(const void* gradient, std::int64_t tokens, std::int64_t features, void* compressed,
                             const sparse24::random_state& random, bool brain, CUstream_st* stream) {
  const auto call = [&](auto* typed) {
    return sparse24::compress_mvue(tsenor::matrix_view(typed, tokens, features), compressed, random, stream);
  };
  return brain ? call(static_cast<const __nv_bfloat16*>(gradient)) : call(static_cast<const __half*>(gradient));
}

linear_products* linear_products_of(int device, bool brain, status* why) {
  return brain ? products_on<__nv_bfloat16>(device, why) : products_on<__half>(device, why);
}

}  // namespace tsenor_torch
