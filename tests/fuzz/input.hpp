/// \file
/// The bytes of a fuzzer's input as numbers, one after the other, past their end all 0; and how a target says that a
/// promise is broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tsenor_fuzz {

/// Ends the program where `holds` is false, which the fuzzer takes for a crash and keeps the input of.
inline void expect(bool holds, const char* broken) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", broken);
  std::abort();
}

class input {
 public:
  input(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), left_(size) {}

  template <class T>
  T take() {
    T value{};
    const std::size_t size = sizeof value < left_ ? sizeof value : left_;
    std::memcpy(&value, bytes_, size);
    bytes_ += size;
    left_ -= size;
    return value;
  }
  /// A number from `low` to `high`, of one byte of input.
  int take(int low, int high) { return low + take<std::uint8_t>() % (high - low + 1); }
  bool toss() { return take(0, 1) == 1; }
  /// One of a list.
  template <class T, std::size_t Count>
  T choose(const T (&list)[Count]) {
    return list[take(0, int(Count) - 1)];
  }
  const std::uint8_t* rest() const { return bytes_; }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* bytes_;
  std::size_t left_;
};

}  // namespace tsenor_fuzz
