// Threads over a range.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "tsenor/status.hpp"

namespace tsenor {
namespace detail {

inline status check_threads(int threads) {
  if (threads >= 0) return {};
  return {status_code::invalid_option, "cpu_executor::threads must not be negative (0: all)", threads, 0};
}

/// Calls `body(begin, end)` for consecutive parts of [0, count), on up to `threads` threads (0: one for each hardware
/// thread), the calling one among them; returns when all are done. Parts of `grain` elements are handed out as threads
/// become free, so which thread gets which is open: a body's result must not depend on it. A range of one part, or one
/// thread, runs inline as a single call. If the system gives fewer threads, those that there are do all the work.
/// `body` must not throw.
template <class Body>
void parallel_for(int threads, std::int64_t count, std::int64_t grain, const Body& body) noexcept {
  if (count <= 0) return;
  const std::int64_t parts = (count - 1) / grain + 1;
  const std::int64_t wanted = threads > 0 ? threads : std::max<std::int64_t>(1, std::thread::hardware_concurrency());
  const std::int64_t useful = std::min(wanted, parts);
  if (useful == 1) {
    body(std::int64_t{0}, count);
    return;
  }

  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t part = next++; part < parts; part = next++) {
      body(part * grain, std::min(count, (part + 1) * grain));
    }
  };
  std::vector<std::thread> helpers;
  try {
    helpers.reserve(static_cast<std::size_t>(useful - 1));
    for (std::int64_t k = 1; k < useful; ++k) helpers.emplace_back(work);
  } catch (const std::exception&) {
    // no memory or no more threads: the ones that exist finish the range
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace detail
}  // namespace tsenor
