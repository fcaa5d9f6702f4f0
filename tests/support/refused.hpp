/// \file
/// Calls that must be refused, as tables.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tsenor/check_mask.hpp"
#include "tsenor/cpu_executor.hpp"
#include "tsenor/mask_outputs.hpp"
#include "tsenor/matrix_view.hpp"
#include "tsenor/prune/outputs.hpp"
#include "tsenor/report.hpp"
#include "tsenor/status.hpp"
#include "tsenor/weight_types.hpp"

namespace tsenor_test {

inline constexpr std::int64_t side = 64, count = side * side, too_many = std::numeric_limits<std::int64_t>::max() / 8;

/// A place for each argument. A mask that is there keeps the same half of each row, and so is 2:4.
struct places {
  std::vector<float> weights = std::vector<float>(count, 1), gram = std::vector<float>(count, 1),
                     norms = std::vector<float>(side, 7), pruned = std::vector<float>(count, 7);
  std::vector<tsenor::float16> halves = std::vector<tsenor::float16>(count, tsenor::float16{7});
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(count), compressed = std::vector<std::uint8_t>(2 * count);
  std::vector<tsenor::tile_report> reports = std::vector<tsenor::tile_report>(count / 64, {7, 7, 7, 7, 7, 7});
  std::vector<float> prices = std::vector<float>(count / 64 * 16, 7);
  tsenor::mask_violations violations{7, 7};
  tsenor::report_summary summary{7, 7, 7, 7, 7, 7, 7};

  places() {
    for (std::int64_t k = 0; k < count; ++k) mask[k] = (k + k / side) % 2;
  }
  tsenor::matrix_view<const float> view() const { return {weights.data(), side, side}; }
  tsenor::matrix_view<const std::uint8_t> kept() const { return {mask.data(), side, side}; }
  tsenor::matrix_view<float> target() { return {pruned.data(), side, side}; }
  tsenor::matrix_view<const tsenor::float16> half_view() const { return {halves.data(), side, side}; }
  tsenor::mask_outputs<float> outputs() {
    tsenor::mask_outputs<float> out;
    out.mask = mask.data();
    return out;
  }
  tsenor::prune::outputs<float> pruner_outputs() { return {pruned.data(), mask.data()}; }
  /// Copies of all bytes.
  std::string bytes() const {
    std::string all;
    const auto add = [&](const auto& x) {
      all.append(reinterpret_cast<const char*>(x.data()), x.size() * sizeof x[0]);
    };
    add(weights), add(gram), add(norms), add(pruned), add(halves), add(mask), add(compressed), add(reports),
        add(prices);
    all.append(reinterpret_cast<const char*>(&violations), sizeof violations);
    return all.append(reinterpret_cast<const char*>(&summary), sizeof summary);
  }
};

template <class T>
T* one_byte_on(T* data) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(data) + 1);
}
template <class T>
T* inside(const void* data) {
  return static_cast<T*>(const_cast<void*>(data));
}

struct bad_call {
  const char* what;
  tsenor::status_code code;
  std::function<tsenor::status(places&)> call;
};

/// The wrong number and its limit, where a size is what is wrong.
inline void expect_numbers(const tsenor::status& s) {
  const auto code = s.code();
  if (code == tsenor::status_code::invalid_shape || code == tsenor::status_code::not_divisible) {
    EXPECT_NE(s.observed(), s.required()) << s.message();
  }
}

/// An argument that is memory.
struct place {
  const char* what;
  void* at;
  bool written;
};

/// Calls with each two places at one address. It is refused, names one of them and leaves all `untouched`, unless both
/// are only read, or the earlier are weights that are `pruned` in place.
inline void expect_apart(const std::vector<place>& places, const std::function<bool()>& untouched,
                         const std::function<tsenor::status(const std::vector<place>&)>& call) {
  for (const bool refused : {true, false}) {
    for (std::size_t k = 0; k < places.size() * places.size(); ++k) {
      const place &first = places[k % places.size()], &second = places[k / places.size()];
      const bool in_place = first.what == std::string("weights") && second.what == std::string("pruned");
      if (&first >= &second || refused != ((first.written || second.written) && !in_place)) continue;
      SCOPED_TRACE(std::string(second.what) + " at the place of " + first.what);
      std::vector<place> shared = places;
      shared[k / places.size()].at = first.at;
      const tsenor::status s = call(shared);
      const std::string message = s.message();
      EXPECT_EQ(s.code(), refused ? tsenor::status_code::overlapping_buffers : tsenor::status_code::success) << message;
      if (!refused) continue;
      EXPECT_TRUE(message.find(first.what) != message.npos || message.find(second.what) != message.npos) << message;
      EXPECT_TRUE(untouched()) << "something was written";
    }
  }
}

inline void expect_refused(const std::vector<bad_call>& calls) {
  for (const bad_call& bad : calls) {
    SCOPED_TRACE(bad.what);
    places p;
    const std::string before = p.bytes();
    const tsenor::status s = bad.call(p);
    EXPECT_EQ(s.code(), bad.code) << s.message();
    EXPECT_GT(std::strlen(s.message()), 20u);
    expect_numbers(s);
    EXPECT_TRUE(p.bytes() == before) << "something was written";
  }
}

}  // namespace tsenor_test
