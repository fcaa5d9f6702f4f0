// From the CUDA runtime's errors to tsenor::status, and the device that a stream belongs to.
#pragma once

#include <cuda_runtime_api.h>

#include "tsenor/detail/abi.hpp"
#include "tsenor/status.hpp"

namespace tsenor {
namespace detail {
inline namespace TSENOR_ABI {

inline bool means_no_device(cudaError_t error) {
  return error == cudaErrorNoDevice || error == cudaErrorNoKernelImageForDevice ||
         error == cudaErrorInvalidDeviceFunction || error == cudaErrorInsufficientDriver;
}

inline status status_of(cudaError_t error, const char* message) {
  if (error == cudaSuccess) return {};
  if (means_no_device(error)) {
    return {status_code::no_device,
            "no usable CUDA device: install a driver, or compile for the device's architecture (observed() is the "
            "cudaError_t)",
            error};
  }
  return {status_code::device_error, message, error};
}

/// The error that the runtime keeps for this thread. A query of an unfinished stream or event leaves cudaErrorNotReady
/// there, which is not an error.
inline cudaError_t kept_error() {
  const cudaError_t error = cudaPeekAtLastError();
  return error == cudaErrorNotReady ? cudaSuccess : error;
}

/// An error that earlier work left. It is reported and stays pending: it is not this library's to clear.
inline status pending_error() {
  return status_of(
      kept_error(),
      "a CUDA error was pending before the call: check the calls before it (observed() is the cudaError_t)");
}

/// What a runtime call of this library returned. The runtime keeps an error for cudaGetLastError too; it is cleared, as
/// the caller learns of it from the status.
inline status runtime_status(cudaError_t error) {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  return status_of(error, "the CUDA runtime refused the call (observed() is the cudaError_t)");
}

/// The outcome of the launch just made; call pending_error() before it, so that an error seen here is the launch's own.
inline status launch_status() { return runtime_status(kept_error()); }

/// Makes a stream's own device the current one for the rest of the scope. The default streams mean the current device.
/// So does a stream that is being captured, which must not be asked: a capture needs its device to be current anyway.
class stream_device {
 public:
  explicit stream_device(cudaStream_t stream) {
    if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread) return;
    int device = 0;
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    outcome_ = runtime_status(cudaStreamIsCapturing(stream, &capture));
    if (!outcome_ || capture != cudaStreamCaptureStatusNone) return;
    outcome_ = runtime_status(cudaGetDevice(&caller_));
    if (outcome_) outcome_ = runtime_status(device_of(stream, &device));
    if (!outcome_ || device == caller_) return;
    outcome_ = runtime_status(cudaSetDevice(device));
    moved_ = outcome_.ok();
  }
  ~stream_device() {
    if (moved_) static_cast<void>(cudaSetDevice(caller_));
  }
  stream_device(const stream_device&) = delete;
  stream_device& operator=(const stream_device&) = delete;

  status outcome() const { return outcome_; }

 private:
  static cudaError_t device_of(cudaStream_t stream, int* device) {
#if CUDART_VERSION >= 12080
    return cudaStreamGetDevice(stream, device);
#else  // older runtimes cannot tell: the stream has to be one of the current device
    static_cast<void>(stream);
    return cudaGetDevice(device);
#endif
  }

  status outcome_;
  int caller_ = 0;
  bool moved_ = false;
};

}  // namespace TSENOR_ABI
}  // namespace detail
}  // namespace tsenor
