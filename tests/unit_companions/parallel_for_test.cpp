#include "tsenor/detail/parallel_for.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

using tsenor::detail::parallel_for;

struct range {
  int threads;
  std::int64_t count, grain;
};

class ParallelFor : public testing::TestWithParam<range> {};

INSTANTIATE_TEST_SUITE_P(Ranges, ParallelFor,
                         testing::Values(range{1, 1000, 7}, range{4, 1000, 7}, range{4, 3, 100}, range{3, 1, 1},
                                         range{16, 5, 1}, range{0, 4096, 64}, range{2, 64, 64}, range{2, 65, 64}));

TEST_P(ParallelFor, VisitsEveryElementOnce) {
  const auto [threads, count, grain] = GetParam();
  std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
  parallel_for(threads, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) ++visits[static_cast<std::size_t>(k)];
  });
  for (std::size_t k = 0; k < visits.size(); ++k) EXPECT_EQ(visits[k], 1) << "element " << k;
}

TEST(ParallelForRange, CallsNothingWhenEmpty) {
  int calls = 0;
  parallel_for(4, 0, 8, [&](std::int64_t, std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ParallelForRange, StaysOnTheCallingThreadWhenItIsOnePart) {
  std::thread::id where;
  std::int64_t first = -1, last = -1;
  parallel_for(8, 100, 100, [&](std::int64_t begin, std::int64_t end) {
    where = std::this_thread::get_id();
    first = begin;
    last = end;
  });
  EXPECT_EQ(where, std::this_thread::get_id());
  EXPECT_EQ(first, 0);
  EXPECT_EQ(last, 100);
}

TEST(ParallelForRange, UsesTheThreadsThatItIsGiven) {
  // Each part waits until all three threads are inside one, so fewer threads would never finish.
  std::mutex guard;
  std::set<std::thread::id> seen;
  std::atomic<int> inside{0};
  parallel_for(3, 3, 1, [&](std::int64_t, std::int64_t) {
    ++inside;
    while (inside < 3) std::this_thread::yield();
    const std::lock_guard lock(guard);
    seen.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(seen.size(), 3u);
}

// Exits with 0 if all parts are visited once, by some of the threads asked for and not by all.
[[noreturn]] void run_with_little_memory() {
  const rlimit little{std::size_t{256} << 20, RLIM_INFINITY};  // some threads' stacks
  setrlimit(RLIMIT_AS, &little);
  constexpr int asked = 4096;
  std::atomic<int> visits[asked] = {}, threads{0};
  thread_local bool counted = false;
  parallel_for(asked, asked, 1, [&](std::int64_t begin, std::int64_t) {
    ++visits[begin];
    if (!counted) counted = true, ++threads;
  });
  bool each_once = true;
  for (const auto& count : visits) each_once = each_once && count == 1;
  std::_Exit(each_once && threads < asked ? 0 : 1);
}

TEST(ParallelForRange, IsDoneByTheThreadsThatThereAre) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(__clang__)  // which the sanitizers are built with
  GTEST_SKIP() << "a sanitizer takes more memory than the test leaves";
#endif
  EXPECT_EXIT(run_with_little_memory(), testing::ExitedWithCode(0), "");
}

}  // namespace
