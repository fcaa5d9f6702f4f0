/// \file
/// How far a long run is.
#pragma once

#include <cstdint>
#include <string>

namespace tool {

/// A bar on stderr, if that is a terminal; it erases itself at the end. It counts weights, so that its pace is even.
class progress_bar {
 public:
  explicit progress_bar(std::uint64_t weights);
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  /// So many more weights of the tensor of this name are done.
  void advance(std::uint64_t weights, const std::string& name);

 private:
  std::uint64_t weights_, done_ = 0;
  bool visible_;
};

}  // namespace tool
