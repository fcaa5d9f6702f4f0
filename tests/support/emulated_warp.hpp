/// \file
/// A CUDA warp on the host: 32 fibers that stop at every collective until all lanes named in its mask have come to the
/// same one, in the same source line. Anything else is a divergence, which on a GPU would hang or give garbage; here it
/// ends the program with a message. emulated_cuda.hpp puts CUDA's names on top.
///
/// Between two collectives the lanes run one after the other, so a missing __syncwarp() can go unseen in one order of
/// lanes: run the code in both.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>

struct emulated_dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline emulated_dim3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0}, blockDim{32, 1, 1}, gridDim{1, 1, 1};
inline constexpr int warpSize = 32;

namespace tsenor_test {

/// The order in which lanes run between two collectives.
enum class lane_order { ascending, descending };

/// Where the emulated warp stands in its grid.
struct warp_place {
  unsigned block = 0, warp = 0, warps_per_block = 1, blocks = 1;
};

/// What a lane hands to a collective, and what identifies the collective.
struct collective_call {
  const char* name = nullptr;  // null: not at a collective
  const char* file = nullptr;
  int line = 0;
  int width = 32;
  unsigned mask = 0;
  std::uint64_t operand = 0;

  bool same_as(const collective_call& other) const {
    return name != nullptr && other.name != nullptr && std::strcmp(name, other.name) == 0 && line == other.line &&
           std::strcmp(file, other.file) == 0 && width == other.width && mask == other.mask;
  }
};

class emulated_warp {
 public:
  static constexpr int lanes = 32;
  static constexpr std::size_t stack_bytes = std::size_t{1} << 18;

  /// Runs `body` once on each lane; returns when all have.
  void run(const std::function<void()>& body, lane_order order, warp_place place) {
    body_ = &body;
    current_ = this;
    blockIdx = {place.block, 0, 0};
    gridDim = {place.blocks, 1, 1};
    blockDim = {lanes * place.warps_per_block, 1, 1};
    for (int k = 0; k < lanes; ++k) start(k);
    while (advance_lanes(order, place.warp)) release_or_die();
    current_ = nullptr;
  }

  /// Stops the running lane until the lanes of the call's mask have made the same call.
  void meet(const collective_call& call) {
    if ((call.mask >> lane_ & 1u) == 0) die("is not in the mask of its own collective", lane_, call);
    lane_state& me = state(lane_);
    me.call = call;
    me.waiting = true;
    change_stack(me.stopped_at, scheduler_);
  }

  /// What `lane` handed to the collective that the running lane has just left.
  std::uint64_t operand_of(int lane) const {
    const collective_call& mine = state(lane_).call;
    if ((mine.mask >> lane & 1u) == 0) die("reads from a lane outside of the mask", lane_, mine);
    return state(lane).released;
  }

  int lane() const { return lane_; }
  long collectives() const { return collectives_; }
  static emulated_warp& current() { return *current_; }

 private:
  struct lane_state {
    ucontext_t beginning;
    jmp_buf stopped_at;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};  // not cleared: that would take most of a short run
    collective_call call;
    std::uint64_t released = 0;  // the operand at the last collective that was released
    bool begun = false;
    bool waiting = false;
    bool done = false;
  };

  lane_state& state(int k) { return lanes_[static_cast<std::size_t>(k)]; }
  const lane_state& state(int k) const { return lanes_[static_cast<std::size_t>(k)]; }

  /// Returns when somebody else comes back to `from`. Not by swapcontext, whose system call for the mask of signals
  /// would take nine tenths of a test's time.
  static void change_stack(jmp_buf from, jmp_buf to) {
    if (_setjmp(from) == 0) _longjmp(to, 1);
  }

  static void enter() {
    (*current_->body_)();
    lane_state& me = current_->state(current_->lane_);
    me.done = true;
    _longjmp(current_->scheduler_, 1);
  }

  void start(int k) {
    lane_state& l = state(k);
    l.call = {};
    l.begun = l.waiting = l.done = false;
    getcontext(&l.beginning);
    l.beginning.uc_stack.ss_sp = l.stack.get();
    l.beginning.uc_stack.ss_size = stack_bytes;
    l.beginning.uc_link = nullptr;
    makecontext(&l.beginning, &emulated_warp::enter, 0);
  }

  /// Runs a lane until it waits or ends.
  void advance(lane_state& l) {
    if (l.begun) return change_stack(scheduler_, l.stopped_at);
    l.begun = true;
    if (_setjmp(scheduler_) == 0) setcontext(&l.beginning);
  }

  /// Runs every lane that can run until it waits or ends. Whether any is left.
  bool advance_lanes(lane_order order, unsigned warp) {
    bool any_left = false;
    for (int step = 0; step < lanes; ++step) {
      lane_ = order == lane_order::ascending ? step : lanes - 1 - step;
      lane_state& l = state(lane_);
      threadIdx = {warp * lanes + static_cast<unsigned>(lane_), 0, 0};
      if (!l.done && !l.waiting) advance(l);
      any_left = any_left || !l.done;
    }
    return any_left;
  }

  /// All lanes wait or have ended: lets those go on whose collective is complete.
  void release_or_die() {
    bool released_any = false;
    for (int k = 0; k < lanes; ++k) {
      if (state(k).waiting && is_complete(k)) {
        release(state(k).call.mask);
        released_any = true;
      }
    }
    if (!released_any) report_divergence();
  }

  bool meets(int a, int b) const {
    const lane_state &first = state(a), &second = state(b);
    return second.waiting && first.call.same_as(second.call);
  }

  bool is_complete(int k) const {
    const unsigned mask = state(k).call.mask;
    for (int other = 0; other < lanes; ++other) {
      if ((mask >> other & 1u) != 0 && !meets(k, other)) return false;
    }
    return true;
  }

  void release(unsigned mask) {
    ++collectives_;
    for (int k = 0; k < lanes; ++k) {
      lane_state& l = state(k);
      if ((mask >> k & 1u) == 0) continue;
      l.released = l.call.operand;
      l.waiting = false;
    }
  }

  [[noreturn]] void report_divergence() const {
    for (int k = 0; k < lanes; ++k) {
      const lane_state& waiting = state(k);
      for (int other = 0; waiting.waiting && other < lanes; ++other) {
        if ((waiting.call.mask >> other & 1u) == 0 || meets(k, other)) continue;
        const lane_state& missing = state(other);
        const collective_call nothing{"the end of the code", "-", 0, 32, 0, 0};
        const collective_call& elsewhere = missing.done ? nothing : missing.call;
        std::fprintf(stderr, "divergent lanes: lane %d is at %s (%s:%d), lane %d at %s (%s:%d)\n", k, waiting.call.name,
                     waiting.call.file, waiting.call.line, other, elsewhere.name, elsewhere.file, elsewhere.line);
        std::abort();
      }
    }
    std::abort();
  }

  [[noreturn]] static void die(const char* what, int lane, const collective_call& call) {
    std::fprintf(stderr, "lane %d %s: %s (%s:%d)\n", lane, what, call.name, call.file, call.line);
    std::abort();
  }

  static inline emulated_warp* current_ = nullptr;
  std::array<lane_state, lanes> lanes_;
  jmp_buf scheduler_;
  const std::function<void()>* body_ = nullptr;
  int lane_ = 0;
  long collectives_ = 0;
};

/// Runs `body` as one warp and returns the number of collectives that it met at.
inline long run_warp(const std::function<void()>& body, lane_order order = lane_order::ascending,
                     warp_place place = {}) {
  const auto warp = std::make_unique<emulated_warp>();
  warp->run(body, order, place);
  return warp->collectives();
}

}  // namespace tsenor_test
