/// \file
/// Where a call runs on the CPU.
#pragma once

namespace tsenor {

/// The first argument of a call that runs on the CPU. The call returns when its work is done. Results do not depend on
/// `threads`.
struct cpu_executor {
  int threads = 0;  ///< threads to use; 0: one for each hardware thread; negative: invalid_option
};

}  // namespace tsenor
