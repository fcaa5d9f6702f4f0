/// \file
/// The result of a call: a value, never an exception, never a print, never an allocation.
#pragma once

#include <cstdint>

namespace tsenor {

/// The kind of error, or success.
enum class status_code {
  success,              ///< the work is done, or on a GPU enqueued
  invalid_pattern,      ///< N:M outside 1 <= N <= M, 2 <= M <= 64
  invalid_shape,        ///< negative or overflowing sizes, a stride smaller than a row
  not_divisible,        ///< rows or columns are no multiple of M under edge::reject
  invalid_pointer,      ///< null or misaligned
  overlapping_buffers,  ///< two buffers share memory and are not allowed to
  invalid_option,       ///< an option outside its range
  no_device,            ///< no CUDA device, or no kernel for its architecture in this program
  device_error          ///< the CUDA runtime reported an error, from this call or an earlier one
};

/// The outcome of a call. `message()` is static text that says what was wrong and what to do. `observed()` is the wrong
/// number and `required()` its limit, if there are such numbers. For the device codes `observed()` is the
/// `cudaError_t`. Unless `ok()`, nothing was launched and nothing was written.
class [[nodiscard]] status {
 public:
  /// Success.
  constexpr status() = default;
  /// Any outcome. `message` is kept as a pointer: it has to be static text.
  constexpr status(status_code code, const char* message, std::int64_t observed = 0, std::int64_t required = 0)
      : code_(code), message_(message), observed_(observed), required_(required) {}

  /// Whether all went well.
  constexpr bool ok() const { return code_ == status_code::success; }
  /// The same as ok().
  constexpr explicit operator bool() const { return ok(); }
  /// What kind of error, or success.
  constexpr status_code code() const { return code_; }
  /// What was wrong and what to do: static text in one line, never null.
  constexpr const char* message() const { return message_; }
  /// The wrong number, or the `cudaError_t`; 0 if there is none.
  constexpr std::int64_t observed() const { return observed_; }
  /// The limit that observed() breaks; 0 if there is none.
  constexpr std::int64_t required() const { return required_; }

 private:
  status_code code_ = status_code::success;
  const char* message_ = "success";
  std::int64_t observed_ = 0;
  std::int64_t required_ = 0;
};

}  // namespace tsenor
