/// \file
/// How a fuzz target says that a promise is broken.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace tsenor_fuzz {

/// Ends the program where `holds` is false, which the fuzzer takes for a crash and keeps the input of.
inline void expect(bool holds, const char* broken) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", broken);
  std::abort();
}

}  // namespace tsenor_fuzz
