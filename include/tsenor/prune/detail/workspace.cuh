// Pieces of one buffer. The same text gives their sizes (from no buffer) and their places.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tsenor/prune/detail/check_layer.hpp"
#include "tsenor/prune/handles.cuh"
#include "tsenor/status.hpp"

namespace tsenor::prune::detail {

class pieces {
 public:
  static constexpr std::size_t alignment = 256;

  explicit pieces(void* base = nullptr) : base_(static_cast<char*>(base)) {}

  // The next [count] elements; null if there is no buffer.
  template <class T>
  T* take(std::int64_t count) {
    T* const piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (std::size_t(count) * sizeof(T) + alignment - 1) / alignment * alignment;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  char* base_;
  std::size_t used_ = 0;
};

inline status check_workspace(const workspace& memory, std::size_t needed) {
  if (needed == 0) return {};
  if (memory.data == nullptr || reinterpret_cast<std::uintptr_t>(memory.data) % pieces::alignment != 0)
    return {status_code::invalid_pointer, "the workspace is null or not aligned to 256 bytes: use cudaMalloc"};
  if (memory.bytes < needed)
    return {status_code::invalid_pointer,
            "the workspace is too small: the function's ..._workspace query says how many bytes it needs (required())",
            std::int64_t(memory.bytes), std::int64_t(needed)};
  return {};
}

// The part of a checked workspace that is used.
inline used_buffer scratch_buffer(const workspace& memory, std::size_t needed, const char* shared) {
  return written_buffer(static_cast<const char*>(memory.data), std::int64_t(needed), shared);
}

}  // namespace tsenor::prune::detail
