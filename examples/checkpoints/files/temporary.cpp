#include "temporary.hpp"

#include <stdio.h>

#include <cstring>
#include <memory>
#include <vector>

namespace tool {
namespace {

constexpr int interrupts[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGXCPU};

// What a signal handler may touch: plain memory that grows at its head.
struct guarded {
  std::unique_ptr<char[]> path;
  const guarded* next;
};
const guarded* volatile newest = nullptr;
std::vector<std::unique_ptr<guarded>> owned;

extern "C" void remove_and_end(int signal_number) {
  for (const guarded* g = newest; g != nullptr; g = g->next) remove(g->path.get());  // unlink or rmdir, both safe here
  raise(signal_number);  // SA_RESETHAND: ends the process as if there had been no handler
}

void handle_interrupts() {
  for (const int signal_number : interrupts) {
    struct sigaction before, action = {};
    if (sigaction(signal_number, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) continue;  // nohup
    action.sa_handler = remove_and_end;
    action.sa_flags = SA_RESETHAND;
    sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace

held_interrupts::held_interrupts() noexcept {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal_number : interrupts) sigaddset(&held, signal_number);
  pthread_sigmask(SIG_BLOCK, &held, &before_);
}

held_interrupts::~held_interrupts() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void guard_temporary(const std::string& path) {
  auto g = std::make_unique<guarded>();
  g->path.reset(new char[path.size() + 1]);
  std::memcpy(g->path.get(), path.c_str(), path.size() + 1);
  g->next = newest;
  owned.push_back(std::move(g));
  newest = owned.back().get();
  handle_interrupts();
}

void remove_temporaries() noexcept {
  for (const guarded* g = newest; g != nullptr; g = g->next) remove(g->path.get());
  release_temporaries();
}

void release_temporaries() noexcept {
  newest = nullptr;
  owned.clear();
}

}  // namespace tool
