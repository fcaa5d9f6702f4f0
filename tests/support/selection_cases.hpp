/// \file
/// Numbers to select from, and what selection has to find in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace tsenor_test {

template <class Number>
std::vector<Number> descending(std::vector<Number> x) {
  std::sort(x.begin(), x.end(), std::greater<Number>());
  return x;
}

/// The n-th and the next largest of the numbers; twice the least where n is their count.
template <class Number>
std::vector<Number> around_rank_of(std::vector<Number> x, int n) {
  const auto nth = x.begin() + (n - 1), next = x.begin() + std::min<std::size_t>(n, x.size() - 1);
  std::nth_element(x.begin(), nth, x.end(), std::greater<Number>());
  const Number first = *nth;
  std::nth_element(x.begin(), next, x.end(), std::greater<Number>());
  return {first, *next};
}

/// Lists of `count` numbers: any counts of the greatest of all and of the least in the two halves, ties and none, one
/// half above the other, and rising and falling.
template <class Number>
std::vector<std::vector<Number>> cases_of_selection(int count, std::uint64_t seed) {
  using limits = std::numeric_limits<Number>;
  std::mt19937_64 random(seed);
  std::vector<std::vector<Number>> cases;
  const int half = count / 2;
  for (int a = 0; a <= half; a++)
    for (int b = 0; b <= half; b++) {
      std::vector<Number> x(count, limits::min());
      std::fill_n(x.begin(), a, limits::max());
      std::fill_n(x.begin() + half, b, limits::max());
      std::shuffle(x.begin(), x.begin() + half, random);
      std::shuffle(x.begin() + half, x.end(), random);
      cases.push_back(x);
    }
  for (int k = 0; k < 40; k++) {
    std::vector<Number> x(count);
    const auto least = k % 2 ? Number(-2) : limits::min(), most = k % 2 ? Number(2) : limits::max();
    std::uniform_int_distribution<long long> any(least, most);
    for (Number& y : x) y = Number(any(random));
    cases.push_back(x);
    std::sort(x.begin(), x.end());
    cases.push_back(x);
    cases.push_back(descending(x));
  }
  return cases;
}

}  // namespace tsenor_test
