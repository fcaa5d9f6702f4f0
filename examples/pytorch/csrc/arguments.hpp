/// \file
/// What Python hands over, and every check of it: the same for real tensors, meta tensors and symbolic shapes.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tsenor/options.hpp"
#if defined(TSENOR_TORCH_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

namespace tsenor_torch {

using at::Tensor;
using optional_tensor = std::optional<Tensor>;

inline void* data_of(const optional_tensor& t) { return t ? t->data_ptr() : nullptr; }

/// Memory on the device of `like`, with anything in it.
inline Tensor bytes(std::size_t count, const Tensor& like) {
  return at::empty({std::int64_t(count)}, like.options().dtype(at::kByte));
}

#if defined(TSENOR_TORCH_CUDA)
/// The current stream of the tensor's device.
inline cudaStream_t stream_of(const Tensor& t) { return c10::cuda::getCurrentCUDAStream(t.device().index()); }
#endif

struct asked {
  std::int64_t n, m;
  std::string method, constraint, edge;
};

/// Throws ValueError for a word that is not known.
tsenor::options options_of(const asked& a);

/// m x m tiles in `[..., rows, cols]`.
c10::SymInt tiles_of(const Tensor& weight, std::int64_t m);

/// Throws ValueError unless the pattern is supported and `[..., rows, cols]` is made of its tiles.
void check_pattern(const Tensor& matrices, const asked& a, const char* name = "weight");

/// All tensors of a call of find_mask, find_mask_ or prune_.
struct tensors {
  const Tensor& weight;
  const optional_tensor &importance, &column_norms;
  const optional_tensor mask = std::nullopt, prices = std::nullopt;
};
/// Throws ValueError, TypeError, or, for tensors on several devices, RuntimeError.
void check_arguments(const tensors& t, const asked& a, bool warm = false);

/// RuntimeError for tensors on two devices, as PyTorch's own operators have it.
void check_device(const Tensor& t, const char* name, const Tensor& weight);

/// The arguments of keep: the same errors.
void check_keep(const Tensor& weight, const Tensor& mask, const std::string& gradient);

}  // namespace tsenor_torch
