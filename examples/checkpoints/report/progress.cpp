#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "failure.hpp"

namespace tool {

progress_bar::progress_bar(std::uint64_t weights) : weights_(weights), visible_(isatty(STDERR_FILENO) != 0) {}

progress_bar::~progress_bar() {
  if (visible_) std::cerr << "\r\033[K" << std::flush;
}

void progress_bar::advance(std::uint64_t weights, const std::string& name) {
  done_ += weights;
  if (!visible_) return;
  constexpr std::uint64_t width = 30;
  constexpr std::size_t longest_name = 40;
  const double share = static_cast<double>(done_) / static_cast<double>(std::max<std::uint64_t>(1, weights_));
  const auto full = std::min(width, static_cast<std::uint64_t>(width * share));
  std::cerr << "\r\033[K[" << std::string(full, '#') << std::string(width - full, '.') << "] "
            << static_cast<int>(100 * share) << " % " << escaped(name).substr(0, longest_name) << std::flush;
}

}  // namespace tool
