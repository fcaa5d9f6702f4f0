/// \file
/// What every device test stands on: the skip where there is no device, and device memory with guard bands.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace tsenor_test {

/// What fills memory that nothing has been written to yet.
inline constexpr std::uint8_t poison = 0xA5;

/// Ends a test that cannot go on.
inline void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

/// Whether the environment asks for small sizes (TSENOR_REDUCED=1), for runs under compute-sanitizer.
inline bool reduced() {
  const char* const asked = std::getenv("TSENOR_REDUCED");
  return asked != nullptr && std::strcmp(asked, "1") == 0;
}

/// Number of usable devices; 0 where there is no driver.
inline int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return 0;
  }
  return count;
}

/// The base of device tests: skips without a device, and expects that no error is left behind.
class device_test : public testing::Test {
 protected:
  void SetUp() override {
    if (device_count() == 0) GTEST_SKIP() << "no CUDA device";
    ASSERT_EQ(cudaGetLastError(), cudaSuccess);
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
};

/// `[size]` elements on the current device between two guard bands, all of it poisoned. Its calls synchronise.
template <class T>
class device_buffer {
 public:
  static constexpr std::size_t guard_bytes = 1024;  // keeps the alignment of cudaMalloc

  explicit device_buffer(std::size_t size) : size_(size) {
    require(cudaMalloc(&memory_, all_bytes()), "cudaMalloc");
    require(cudaMemset(memory_, poison, all_bytes()), "cudaMemset");
    require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  explicit device_buffer(const std::vector<T>& values) : device_buffer(values.size()) { write(values); }
  ~device_buffer() { static_cast<void>(cudaFree(memory_)); }
  device_buffer(const device_buffer&) = delete;
  device_buffer& operator=(const device_buffer&) = delete;

  T* data() const { return reinterpret_cast<T*>(memory_ + guard_bytes); }
  std::size_t size() const { return size_; }

  void write(const std::vector<T>& values) {
    if (values.size() != size_) throw std::invalid_argument("device_buffer::write: sizes differ");
    require(cudaMemcpy(data(), values.data(), bytes(), cudaMemcpyHostToDevice), "cudaMemcpy to the device");
    require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

  /// The elements, after all work on the device. A write into a guard band fails the test.
  std::vector<T> read() const {
    require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    std::vector<std::uint8_t> all(all_bytes());
    require(cudaMemcpy(all.data(), memory_, all.size(), cudaMemcpyDeviceToHost), "cudaMemcpy from the device");
    const auto is_poison = [](std::uint8_t byte) { return byte == poison; };
    const auto end_of_front = all.begin() + static_cast<std::ptrdiff_t>(guard_bytes);
    const auto begin_of_back = end_of_front + static_cast<std::ptrdiff_t>(bytes());
    EXPECT_TRUE(std::all_of(all.begin(), end_of_front, is_poison)) << "written in front of a buffer";
    EXPECT_TRUE(std::all_of(begin_of_back, all.end(), is_poison)) << "written behind a buffer";
    std::vector<T> values(size_);
    if (size_ != 0) std::memcpy(static_cast<void*>(values.data()), all.data() + guard_bytes, bytes());
    return values;
  }

  /// Whether no byte has been written, guards included.
  bool untouched() const {
    const auto values = read();
    const auto* const first = reinterpret_cast<const std::uint8_t*>(values.data());
    return std::all_of(first, first + bytes(), [](std::uint8_t byte) { return byte == poison; });
  }

 private:
  std::size_t bytes() const { return size_ * sizeof(T); }
  std::size_t all_bytes() const { return bytes() + 2 * guard_bytes; }

  std::size_t size_;
  std::uint8_t* memory_ = nullptr;
};

/// A stream that does not wait for the default stream.
class device_stream {
 public:
  device_stream() { require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  ~device_stream() { static_cast<void>(cudaStreamDestroy(stream_)); }
  device_stream(const device_stream&) = delete;
  device_stream& operator=(const device_stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace tsenor_test
