// Threads over a range.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>

#include "tsenor/status.hpp"

namespace tsenor {
namespace detail {

inline status check_threads(int threads) {
  if (threads >= 0) return {};
  return {status_code::invalid_option, "cpu_executor::threads must not be negative (0 means all)", threads, 0};
}

template <class Work>
void* run_thread(void* work) {
  (*static_cast<const Work*>(work))();
  return nullptr;
}

/// Calls `work()` on the calling thread and, at the same time, on up to `helpers` others: on as many as the system
/// gives. The system's own interface, as std::thread would throw where there are no more.
template <class Work>
void run_on_threads(std::size_t helpers, Work& work) noexcept {
  const std::unique_ptr<pthread_t[]> ids(new (std::nothrow) pthread_t[helpers]);
  std::size_t started = 0;
  while (ids != nullptr && started < helpers && pthread_create(&ids[started], nullptr, run_thread<Work>, &work) == 0)
    ++started;
  work();
  for (std::size_t k = 0; k < started; ++k) pthread_join(ids[k], nullptr);
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
  auto work = [&] {
    for (std::int64_t part = next++; part < parts; part = next++) {
      body(part * grain, std::min(count, (part + 1) * grain));
    }
  };
  run_on_threads(static_cast<std::size_t>(useful - 1), work);
}

}  // namespace detail
}  // namespace tsenor
