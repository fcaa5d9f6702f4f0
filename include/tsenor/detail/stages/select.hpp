// Selection by networks of comparators over registers: the same code for a number and for a vector of numbers.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

namespace tsenor::detail::TSENOR_MACHINE {

template <class V>
TSENOR_FN V lower(const V& a, const V& b) {
  return a < b ? a : b;
}
template <class V>
TSENOR_FN V upper(const V& a, const V& b) {
  return a > b ? a : b;
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

// Moves t[first] and t[first + 1] to t[0] and t[1].
template <int Half, class V>
TSENOR_FN void window(V* t, int first) {
  if constexpr (Half > 0) {
    const bool high = first & Half;
    TSENOR_UNROLL for (int k = 0; k <= Half; k++) t[k] = high ? t[k + Half] : t[k];
    window<Half / 2>(t, first);
  }
}

// The Count-th and the next largest of t[0 .. 2 Count), both halves of which are sorted: what the last two of the
// merge's comparators get. Of two descending lists, the r-th largest is the largest of min(a_i, b_(r - i)).
template <int Count, class V>
TSENOR_FN void middle_of_sorted(V* t, V& nth, V& next) {
  const V *a = t, *b = t + Count;
  V odd = upper(a[Count - 1], b[Count - 1]), even = lower(a[0], b[Count - 2]);
  TSENOR_UNROLL for (int k = 1; k < Count - 2; k += 2) odd = upper(odd, lower(a[k], b[Count - 2 - k]));
  TSENOR_UNROLL for (int k = 2; k < Count; k += 2) even = upper(even, lower(a[k], b[Count - 2 - k]));
  nth = upper(odd, even);
  next = lower(odd, even);
}

// The n-th and the next largest of t[0 .. Count), 1 <= n <= Count; with n = Count both are the least. t has room for
// Count + 1 and is overwritten.
template <int Count, class V>
TSENOR_FN void around_rank(V* t, int n, V& nth, V& next) {
  sort<0, Count / 2>(t);
  sort<Count / 2, Count / 2>(t);
  if (n == Count / 2) {
    middle_of_sorted<Count / 2>(t, nth, next);
  } else {
    odd_even_merge<0, Count, 1>(t);
    t[Count] = t[Count - 1];
    window<Count / 2>(t, n - 1);
    nth = t[0];
    next = t[1];
  }
}

// The same of 2 * Count numbers that stand in pairs: both halves are sorted at once.
template <int Count, class Pair, class Half>
TSENOR_FN void around_rank(Pair* t, int n, Half& nth, Half& next) {
  sort<0, Count>(t);
  if (n == Count) {
    Pair high = upper(t[0], swapped(t[Count - 1])), low = lower(t[0], swapped(t[Count - 1]));
    TSENOR_UNROLL for (int k = 1; k < Count / 2; k++) {
      high = lower(high, upper(t[k], swapped(t[Count - 1 - k])));
      low = upper(low, lower(t[k], swapped(t[Count - 1 - k])));
    }
    nth = lesser_half(high);
    next = greater_half(low);
  } else {
    int x[2 * Count + 1];
    TSENOR_UNROLL for (int k = 0; k < Count; k++) {
      x[k] = low_half(t[k]);
      x[k + Count] = high_half(t[k]);
    }
    odd_even_merge<0, 2 * Count, 1>(x);
    x[2 * Count] = x[2 * Count - 1];
    window<Count>(x, n - 1);
    nth = Half(x[0]);
    next = Half(x[1]);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
