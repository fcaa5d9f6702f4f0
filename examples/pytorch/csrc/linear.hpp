/// \file
/// 2:4 compression and linear24 on CUDA tensors' memory, without PyTorch. bfloat16 where `brain`, else float16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tsenor/matrix_view.hpp"
#include "tsenor/sparse24/layout.hpp"
#include "tsenor/sparse24/mvue.hpp"
#include "tsenor/status.hpp"

struct CUstream_st;

namespace tsenor_torch {

struct compress_request {
  void* weights = nullptr;
  std::int64_t rows = 0, cols = 0, row_stride = 0;
  const std::uint8_t* keep = nullptr;  // a mask that there is already; null: find it
  std::uint8_t* mask = nullptr;
  void* pruned = nullptr;
  void *compressed = nullptr, *transposed = nullptr;
};
tsenor::status compress_on_cuda(const compress_request& r, bool brain, CUstream_st* stream);

/// The same of weights of that type, with operands in E4M3.
enum class weight_type { float32, float16, bfloat16 };
tsenor::status compress_float8_on_cuda(const compress_request& r, weight_type type, const tsenor::sparse24::scales& by,
                                       CUstream_st* stream);

/// Of cuSPARSELt, as it is loaded.
std::string cusparselt_version();

/// Of a dense gradient [tokens, features].
tsenor::status compress_mvue_on_cuda(const void* gradient, std::int64_t tokens, std::int64_t features, void* compressed,
                                     const tsenor::sparse24::random_state& random, bool brain, CUstream_st* stream);

/// A layer's products, of the device that is current when it is made; see linear24.cuh.
struct layer_sizes {
  std::int64_t out_features, in_features, tokens;
};
/// sparse, own form, sparse ms, dense ms, vendor's compress ms: for forward, input gradient and weight gradient.
constexpr int choice_numbers = 15;

class linear_products {
 public:
  virtual ~linear_products() = default;
  virtual tsenor::status plan(const layer_sizes& s, std::size_t* scratch) = 0;
  virtual tsenor::status measure(const layer_sizes& s, void* scratch, double steps_per_compress,
                                 CUstream_st* stream) = 0;
  /// False before measure().
  virtual bool choice(const layer_sizes& s, double* numbers, std::size_t* workspace) const = 0;
  virtual tsenor::status forward(const layer_sizes& s, const void* x, const void* pruned, const void* compressed,
                                 void* y, void* workspace, CUstream_st* stream) const = 0;
  virtual tsenor::status input_gradient(const layer_sizes& s, const void* dy, const void* pruned,
                                        const void* transposed, void* dx, void* workspace,
                                        CUstream_st* stream) const = 0;
  /// Of `compressed`, or where it is null of `dy`.
  virtual tsenor::status weight_gradient(const layer_sizes& s, const void* x, const void* dy, const void* compressed,
                                         void* dw, void* workspace, CUstream_st* stream) const = 0;
  /// Of W, or of W^T (`of_transposed`), dense row-major.
  virtual tsenor::status vendors_size(const layer_sizes& s, bool of_transposed, std::size_t* compressed,
                                      std::size_t* buffer) const = 0;
  virtual tsenor::status vendors_compress(const layer_sizes& s, bool of_transposed, const void* pruned,
                                          void* compressed, void* buffer, CUstream_st* stream) const = 0;
};
/// Kept until the program ends; null, and `*why` set, where the libraries cannot be used.
linear_products* linear_products_of(int device, bool brain, tsenor::status* why);

}  // namespace tsenor_torch
