// When ALPS changes its penalty, begins again, and stops; on the host.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tsenor::prune::detail {

enum class alps_action { go_on, begin_again, stop };

// The schedule of the authors' implementation.
struct alps_schedule {
  static constexpr int check_every = 3;     // iterations
  static constexpr int settled_after = 30;  // iterations
  static constexpr double most_rho = 1e6;

  double rho = 0.1;
  bool raised = false;  // at least once

  // `changed` weights differ in support from the last check, of `kept` in all; `iteration` counts from 1.
  alps_action next(std::int64_t changed, double kept, int iteration) {
    const double share = double(changed) / kept;
    alps_action action = alps_action::go_on;
    if (share > 0.1) {
      raise(1.3);
    } else if (share > 0.005) {
      raise(1.2);
    } else if (raised) {
      if (changed == 0) return alps_action::stop;
      raise(1.1);
    } else {
      rho /= 5;
      if (changed > 0) action = alps_action::begin_again;
    }
    return iteration > settled_after && share < 3e-4 ? alps_action::stop : action;
  }

 private:
  void raise(double factor) {
    raised = true;
    rho = std::min(rho * factor, most_rho);
  }
};

}  // namespace tsenor::prune::detail
