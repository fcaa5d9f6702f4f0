/// \file
/// From tsenor::status to Python's exceptions.
#pragma once

#include <c10/util/Exception.h>

#include "tsenor/status.hpp"

namespace tsenor_torch {

/// RuntimeError for what the device did, ValueError for what the caller did.
inline void require(const tsenor::status& s) {
  if (s.ok()) return;
  const bool of_device = s.code() == tsenor::status_code::no_device || s.code() == tsenor::status_code::device_error;
  TORCH_CHECK(!of_device, "tsenor: ", s.message(), " (observed ", s.observed(), ")");
  TORCH_CHECK_VALUE(false, "tsenor: ", s.message(), " (observed ", s.observed(), ", required ", s.required(), ")");
}

}  // namespace tsenor_torch
