// Selection by networks of comparators over registers: the same code for a number and for a vector of numbers.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <type_traits>

namespace tsenor::detail::TSENOR_MACHINE {

template <class V>
TSENOR_FN V lower(const V& a, const V& b) {
  return a < b ? a : b;
}
template <class V>
TSENOR_FN V upper(const V& a, const V& b) {
  return a > b ? a : b;
}
// The lesser of two numbers that are not negative. On a GPU by their bits, which it compares three at a time.
template <class V>
TSENOR_FN V lesser(const V& a, const V& b) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<V, float>) return __int_as_float(min(__float_as_int(a), __float_as_int(b)));
#endif
  return lower(a, b);
}

template <class V>
TSENOR_FN void order(V& a, V& b) {  // descending
  const V x = upper(a, b), y = lower(a, b);
  a = x;
  b = y;
}

// Batcher's odd-even merge sort, descending.
template <int First, int Count, int Step, class V>
TSENOR_FN void odd_even_merge(V* t) {
  if constexpr (2 * Step < Count) {
    odd_even_merge<First, Count, 2 * Step>(t);
    odd_even_merge<First + Step, Count, 2 * Step>(t);
    TSENOR_UNROLL for (int i = First + Step; i + Step < First + Count; i += 2 * Step) order(t[i], t[i + Step]);
  } else {
    order(t[First], t[First + Step]);
  }
}
template <int First, int Count, class V>
TSENOR_FN void sort(V* t) {
  if constexpr (Count > 1) {
    sort<First, Count / 2>(t);
    sort<First + Count / 2, Count / 2>(t);
    odd_even_merge<First, Count, 1>(t);
  }
}

// Of two descending lists, the r-th largest of all is the largest of min(a_i, b_(r - i)). So the Count-th of two lists
// of Count numbers, and the next, are found with few comparisons. For another rank the lists are moved until it is in
// the middle: up (Up) where it is higher, with the largest number coming in, else down with the least. The way is the
// same for all tiles of a call, so that a GPU's threads agree on each step of it.

// By how many places a list of Count numbers is moved at once. With all powers of two, their code would cost more than
// it saves.
template <int Count>
constexpr int first_step = Count > 8 ? Count / 2 : Count / 4;
template <int Count, int Step>
constexpr int next_step = Step == Count / 2 ? Count / 4
                          : Step > 3        ? Step / 4
                                            : 1;

// Moves t[0 .. Count) by `by` places. What comes in is `fill`; `fallen` is the nearest of what falls out. A loop, since
// of a condition compilers make a selection for each number.
template <bool Up, int Count, int Step = first_step<Count>, class V>
TSENOR_FN void move_list(V* t, int by, const V& fill, V& fallen) {
  const auto at = [&](int k) -> V& { return t[Up ? k : Count - 1 - k]; };
  TSENOR_ROLLED for (; by >= Step; by -= Step) {
    fallen = at(Count - Step);
    TSENOR_UNROLL for (int k = Count - 1; k >= Step; k--) at(k) = at(k - Step);
    TSENOR_UNROLL for (int k = 0; k < Step; k++) at(k) = fill;
  }
  if constexpr (Step > 1) move_list<Up, Count, next_step<Count, Step>>(t, by, fill, fallen);
}

// Brings to the middle of lists a and b what is `by` places from it. List b is moved. What falls out last may be one of
// the two numbers to be found: it goes where a is compared with what has come in.
template <bool Up, int Count, class V>
TSENOR_FN void move_to_middle(V* a, V* b, int by) {
  const V fill = Up ? upper(a[0], b[0]) : lower(a[Count - 1], b[Count - 1]);
  V fallen = fill;
  move_list<Up, Count>(b, by, fill, fallen);
  V& beside = a[Up ? Count - 2 : Count - 1];
  beside = Up ? upper(beside, fallen) : lower(beside, fallen);
}

// The n-th and the next largest of t[0 .. Count), 1 <= n <= Count, in any order; with n = Count both are the least.
// They are what the last two comparators get of a merge of the halves. t is overwritten.
template <int Count, class V>
TSENOR_FN void around_rank(V* t, int n, V& odd, V& even) {
  constexpr int half = Count / 2;
  V *a = t, *b = t + half;
  sort<0, half>(a);
  sort<0, half>(b);
  if (n != half) {
    if (n < half)
      move_to_middle<true, half>(a, b, half - n);
    else
      move_to_middle<false, half>(a, b, n - half);
  }
  odd = upper(a[half - 1], b[half - 1]);
  even = lower(a[0], b[half - 2]);
  TSENOR_UNROLL for (int k = 1; k < half - 2; k += 2) odd = upper(odd, lower(a[k], b[half - 2 - k]));
  TSENOR_UNROLL for (int k = 2; k < half; k += 2) even = upper(even, lower(a[k], b[half - 2 - k]));
}

// The same where list a is in the low halves of pairs, and b in the high ones. Both are moved half of the way, and
// where that is no whole number, b one place back.
template <bool Up, int Count, class Pair>
TSENOR_FN void move_pairs_to_middle(Pair* t, int by) {
  const auto at = [&](int k) -> Pair& { return t[Up ? k : Count - 1 - k]; };
  const Pair fill = Up ? upper(t[0], swapped(t[0])) : lower(t[Count - 1], swapped(t[Count - 1]));
  Pair fallen = fill;
  move_list<Up, Count>(t, (by + 1) >> 1, fill, fallen);
  if (by & 1) {
    TSENOR_UNROLL for (int k = 0; k < Count - 1; k++) at(k) = halves_of(at(k), at(k + 1));
    at(Count - 1) = halves_of(at(Count - 1), fallen);
    Pair& beside = t[Up ? Count - 2 : Count - 1];
    beside = Up ? upper(beside, swapped(fallen)) : lower(beside, swapped(fallen));
  }
}

// The same of 2 * Count numbers that stand in pairs: both lists are sorted at once, and each comparison is made of a
// with b and of b with a.
template <int Count, class Pair, class Half>
TSENOR_FN void around_rank(Pair* t, int n, Half& odd, Half& even) {
  sort<0, Count>(t);
  if (n != Count) {
    if (n < Count)
      move_pairs_to_middle<true, Count>(t, Count - n);
    else
      move_pairs_to_middle<false, Count>(t, n - Count);
  }
  const auto lesser = [&](int k) { return lower(t[k], swapped(t[Count - 2 - k])); };
  Pair odds = upper(t[Count - 1], lesser(Count / 2 - 1)), evens = lesser(0);
  TSENOR_UNROLL for (int k = 1; k < Count / 2 - 1; k += 2) odds = upper(odds, lesser(k));
  TSENOR_UNROLL for (int k = 2; k < Count / 2; k += 2) evens = upper(evens, lesser(k));
  odd = greater_half(odds);
  even = greater_half(evens);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
