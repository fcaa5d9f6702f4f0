/// \file
/// The same source as several shared libraries, each for another architecture, in one process.
#pragma once

#include <cstdint>

#include "tsenor/report.hpp"
#include "tsenor/status.hpp"

namespace tsenor_test {

/// What a library offers; every call goes to the default stream.
struct library {
  /// find_mask<8, 16> of a dense matrix in device memory.
  tsenor::status (*find_mask)(const float* weights, std::int64_t rows, std::int64_t cols, std::uint8_t* mask);
  tsenor::status (*apply_mask)(const float* weights, std::int64_t rows, std::int64_t cols, const std::uint8_t* mask,
                               float* pruned);
  tsenor::status (*summarize)(const tsenor::tile_report* reports, std::int64_t count, tsenor::report_summary* result);
  /// The architecture, such as 90, of the kernel that find_mask launches on the current device; 0 if it has none for
  /// it.
  int (*architecture)();
};

library library_sm80();       ///< machine code for sm_80, and PTX that any later device compiles
library library_sm90();       ///< the same for sm_90
library library_sm86_only();  ///< machine code for sm_86 alone

}  // namespace tsenor_test
