// The optimal mask of a 4x4 tile by comparing candidates, straight through and without lanes that talk to each other:
// the same code for one tile a thread (V = float) and for one tile a lane of a hardware vector. Only sums, differences
// and comparisons, each in one order, so that all machines find the same bits. The first of equally good ones wins.
//
// Sums of floats are rounded, so a mask may miss the optimum by a little: by less than 2^-20 of it. With u = 2^-24, the
// sum T of all weights, and terms of u^2 left out, which the bounds below leave room for:
//   N = 1: a candidate is a sum of four, within 2 u of itself, so the best found misses the optimum by 4 u of it.
//   N = 3: the same of the entries dropped, which are T / 4 or less, a third of what is kept: 4/3 u of the optimum.
//   N = 2: best_two_in_four says why a candidate is within 5 u T of what it keeps less what it drops, which is twice
//     what it keeps less T. So the best found keeps 5 u T less than the optimum at most: 10 u of it, as it is at least
//     T / 2.
//   At most 2: twice what an eight drops is within 10 u T (5, and 4 for the sum of all, and the difference of both),
//     twice what a seven drops, T or less where it counts, within 5 u of itself. Of an eight and a seven the better is
//     missed by (10 + 5) / 2 u T: 15 u of the optimum.
//   At most 3: a gain is within u (row + col) + u min(row, col) of the least entries, of which there are T / 4 in all
//     rows and in all columns, and the sum of four within 2 u of itself: 5/4 u T in all, so the best found misses 5/2 u
//     T, 10/3 u of the optimum, as it is at least 3/4 T.
// Weights that had to be rounded to float, those of double, and squares, add 2 u for each rounding: up to three, of
// squares of double, which leaves 2^-19.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cmath>
#include <cstdint>

namespace tsenor::detail::TSENOR_MACHINE {

// Entries of a tile, bit 4 row + col, and what they are worth to the search at hand.
template <class V, class Bits>
struct choice {
  V value;
  Bits entries;
  TSENOR_FN friend choice operator+(const choice& a, const choice& b) {
    return {a.value + b.value, a.entries | b.entries};
  }
};

template <class V, class Bits>
TSENOR_FN choice<V, Bits> better(const choice<V, Bits>& a, const choice<V, Bits>& b) {
  const auto first = a.value >= b.value;
  return {first ? a.value : b.value, first ? a.entries : b.entries};
}

template <class Bits>
TSENOR_FN float absolute(float x) {
  return std::fabs(x);
}
template <class Bits>
TSENOR_FN std::int64_t absolute(std::int64_t x) {
  return x < 0 ? -x : x;
}
template <class Bits, class V>
TSENOR_FN V absolute(const V& x) {
  return (V)((Bits)x & 0x7fffffffu);
}

// What there is for each pair of columns.
template <class C>
struct column_pairs {
  C p01, p02, p03, p12, p13, p23;

  // The best of the six ways to halve the columns, where a pair chooses which of its two columns goes to which half: 01
  // and 23 choose among those that part 0 from 1 and 2 from 3, and 02 and 13 among the rest, as these part 0 from 2.
  TSENOR_FN C best_halves() const { return better(p01 + p23, p02 + p13); }
};

// ---- N = 1, and least permutations ----

// Rows r and r + 1 take an entry each, from columns b and c.
template <class C>
TSENOR_FN C crossed(const C (&e)[4][4], int r, int b, int c) {
  return better(e[r][b] + e[r + 1][c], e[r][c] + e[r + 1][b]);
}
template <class C>
TSENOR_FN column_pairs<C> crossed_pairs(const C (&e)[4][4], int r) {
  return {crossed(e, r, 0, 1), crossed(e, r, 0, 2), crossed(e, r, 0, 3),
          crossed(e, r, 1, 2), crossed(e, r, 1, 3), crossed(e, r, 2, 3)};
}

// The best of the 24 permutations: rows 0 and 1 take a pair of columns, rows 2 and 3 the other one.
template <class C>
TSENOR_FN C best_permutation(const C (&e)[4][4]) {
  const auto top = crossed_pairs(e, 0), bottom = crossed_pairs(e, 2);
  return better(
      better(better(top.p01 + bottom.p23, top.p23 + bottom.p01), better(top.p02 + bottom.p13, top.p13 + bottom.p02)),
      better(top.p03 + bottom.p12, top.p12 + bottom.p03));
}

template <class V, class Bits>
TSENOR_FN void entries_of(const V (&w)[4][4], choice<V, Bits> (&e)[4][4], bool negated) {
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++)
      e[i][j] = {negated ? -w[i][j] : w[i][j], Bits{} + (1u << (4 * i + j))};
}

// ---- N = 2 ----

// Two groups of rows of which one takes column b and the other column c, the one with the greater lead: `lead` is what
// the upper group has more than the lower in each column, `upper` and `lower` are their entries in column 0. Its value
// is what it keeps of both columns less what it drops of them.
template <class Bits, class V>
TSENOR_FN choice<V, Bits> parted(const V (&lead)[4], std::uint32_t upper, std::uint32_t lower, int b, int c) {
  const V x = lead[b] - lead[c];
  return {absolute<Bits>(x), x >= V{} ? Bits{} + (upper << b | lower << c) : Bits{} + (upper << c | lower << b)};
}
template <class Bits, class V>
TSENOR_FN column_pairs<choice<V, Bits>> parted_pairs(const V (&lead)[4], std::uint32_t upper, std::uint32_t lower) {
  return {parted<Bits>(lead, upper, lower, 0, 1), parted<Bits>(lead, upper, lower, 0, 2),
          parted<Bits>(lead, upper, lower, 0, 3), parted<Bits>(lead, upper, lower, 1, 2),
          parted<Bits>(lead, upper, lower, 1, 3), parted<Bits>(lead, upper, lower, 2, 3)};
}

// The best of the 90 masks with two entries in every row and column, and what it keeps less what it drops. By the
// number of entries that rows 0 and 1 have in each column, four in all, a mask is one of:
//   2 1 1 0  one column is theirs, one is the other half's, each half crosses the other two: a pair parted three times;
//   1 1 1 1  both halves halve the columns between their rows;
//   2 2 0 0  the halves halve the columns.
// Every column is in one pair of rows 0 and 1 and one of rows 2 and 3, or in one of the halves, so what is kept less
// what is dropped is the sum of the parts: nothing else need be added up. No weight goes through more than five sums:
// two to lead, one to a pair, and two to the sum of three. So with u = 2^-24 and the sum T of all weights a candidate
// is within 5 u T.
template <class Bits, class V>
TSENOR_FN choice<V, Bits> best_two_in_four(const V (&w)[4][4]) {
  V top_lead[4], bottom_lead[4], lead[4];
  TSENOR_UNROLL for (int j = 0; j < 4; j++) {
    top_lead[j] = w[0][j] - w[1][j];
    bottom_lead[j] = w[2][j] - w[3][j];
    lead[j] = (w[0][j] + w[1][j]) - (w[2][j] + w[3][j]);
  }
  const auto top = parted_pairs<Bits>(top_lead, 0x0001, 0x0010);
  const auto bottom = parted_pairs<Bits>(bottom_lead, 0x0100, 0x1000);
  const auto halves = parted_pairs<Bits>(lead, 0x0011, 0x1100);
  const auto mixed = better(better(better(top.p01 + bottom.p01 + halves.p23, top.p23 + bottom.p23 + halves.p01),
                                   better(top.p02 + bottom.p02 + halves.p13, top.p13 + bottom.p13 + halves.p02)),
                            better(top.p03 + bottom.p03 + halves.p12, top.p12 + bottom.p12 + halves.p03));
  return better(mixed, better(top.best_halves() + bottom.best_halves(), halves.best_halves()));
}

// What each entry drops if it is alone in its row and column: the six others there.
template <class V>
TSENOR_FN void crosses_of(const V (&w)[4][4], V (&cross)[4][4]) {
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) cross[i][j] =
      (w[i][j ^ 1] + (w[i][j ^ 2] + w[i][j ^ 3])) + (w[i ^ 1][j] + (w[i ^ 2][j] + w[i ^ 3][j]));
}

// The pairs of columns 01, 02, 03, 12, 13, 23: their first and their second one, and what x has for these. The other
// two columns of pair p are pair 5 - p.
template <class Pair, class X>
TSENOR_FN X at_first(const Pair& p, const X (&x)[4]) {
  return p < 3 ? x[0] : p < 5 ? x[1] : x[2];
}
template <class Pair, class X>
TSENOR_FN X at_second(const Pair& p, const X (&x)[4]) {
  return p == 0 ? x[1] : ((p == 1) | (p == 3)) ? x[2] : x[3];
}

// The masks with seven entries that no eighth fits into drop a permutation and, in place of one of its entries, the
// cross of that. The entry is in rows 0 and 1 (k < 6) or in the others, in one of the pair of columns k or k - 6: the
// least that is dropped, of each.
template <class V>
TSENOR_FN void least_of_nine_dropped(const V (&w)[4][4], const V (&cross)[4][4], V (&dropped)[12]) {
  V two[2][6], alone[2][6];
  TSENOR_UNROLL for (int k = 0; k < 12; k++) {
    const auto least = [k](const auto& up, const auto& down) {
      return lesser(at_first(k % 6, up) + at_second(k % 6, down), at_second(k % 6, up) + at_first(k % 6, down));
    };
    const int r = k / 6 * 2;
    two[r / 2][k % 6] = least(w[r], w[r + 1]);
    alone[r / 2][k % 6] = lesser(least(cross[r], w[r + 1]), least(w[r], cross[r + 1]));
  }
  TSENOR_UNROLL for (int k = 0; k < 12; k++) dropped[k] = alone[k / 6][k % 6] + two[1 - k / 6][5 - k % 6];
}

// What the best of the masks of one k keeps. All as if the entry were in rows 0 and 1.
template <class Bits, class V>
TSENOR_FN Bits seven_of(const V (&w)[4][4], const V (&cross)[4][4], const Bits& k) {
  const auto below = k >= 6;
  const Bits pair = below ? k - 6 : k, column[4] = {Bits{} + 1u, Bits{} + 2u, Bits{} + 4u, Bits{} + 8u};
  V first[6], second[6];  // of rows 0 and 1, of rows 2 and 3 in the other columns, of the crosses of rows 0 and 1
  TSENOR_UNROLL for (int i = 0; i < 6; i++) {
    V row[4];
    const auto &up = i < 4 ? w[i % 4] : cross[i % 4], &down = i < 4 ? w[i % 4 ^ 2] : cross[i % 4 ^ 2];
    TSENOR_UNROLL for (int j = 0; j < 4; j++) row[j] = below ? down[j] : up[j];
    first[i] = at_first(i / 2 == 1 ? 5 - pair : pair, row);
    second[i] = at_second(i / 2 == 1 ? 5 - pair : pair, row);
  }
  // The entry is in column j of row i, and row i ^ 1 drops its entry in column j2.
  const auto alone = [&](int i, const V& sum, const Bits& j, const Bits& j2) {
    const Bits in_cross = (Bits{} + (0xfu << 4 * i)) ^ (j | j << 4 | j << 8 | j << 12);
    return choice<V, Bits>{V{} - sum, in_cross | j2 << 4 * (1 - i)};
  };
  const Bits b = at_first(pair, column), c = at_second(pair, column);
  const auto best = better(better(alone(0, first[4] + second[1], b, c), alone(1, first[0] + second[5], c, b)),
                           better(alone(0, second[4] + first[1], c, b), alone(1, second[0] + first[5], b, c)));
  const Bits d = at_first(5 - pair, column), e = at_second(5 - pair, column);
  const auto straight = first[2] + second[3] <= second[2] + first[3];
  const Bits kept = (best.entries | (straight ? d << 8 | e << 12 : e << 8 | d << 12)) ^ 0xffffu;
  return below ? (kept << 8 | kept >> 8) & 0xffffu : kept;
}

// At most two in each row and column. No weight is negative, so the best masks that nothing fits into are enough. In
// such a mask a row with room has an entry in every column with room. That is one entry at most, so if there is a
// column with room there is just one, likewise just one row, and the entry where they meet is the only one of both: the
// mask is one of the 90, or an entry alone in its row and column with two entries in each other row and column, which
// are all but a permutation. Since these are seldom better, their sums are found first.
template <class Lanes, class V>
TSENOR_FN typename Lanes::bits at_most_two(const V (&w)[4][4]) {
  using bits = typename Lanes::bits;
  V row[4], cross[4][4], dropped[12];
  TSENOR_UNROLL for (int i = 0; i < 4; i++) row[i] = (w[i][0] + w[i][1]) + (w[i][2] + w[i][3]);
  const auto eight = best_two_in_four<bits>(w);
  crosses_of(w, cross);
  least_of_nine_dropped(w, cross, dropped);
  V least = dropped[0];
  TSENOR_UNROLL for (int k = 1; k < 12; k++) least = lesser(least, dropped[k]);
  // Twice what a seven and an eight drop.
  const auto fewer = least + least < ((row[0] + row[1]) + (row[2] + row[3])) - eight.value;
  if (!any_of<Lanes>(fewer)) return eight.entries;
  bits k = bits{} + 11;
  TSENOR_UNROLL for (int other = 10; other >= 0; other--) k = dropped[other] == least ? bits{} + other : k;
  return fewer ? seven_of(w, cross, k) : eight.entries;
}

// ---- N = 3, at most ----

// The entries of least sum that meet every row and column. If such a set has no entry to spare, each of its entries is
// the only one of its row or of its column, so it falls into groups around one row or one column. One entry from each
// group makes a matching, and every row and column outside the matching has an entry of its own in the set, at least
// its least one. Conversely, a matching and the least entry of each other row and column meet them all. So what is left
// to find is the matching with the largest gains over the least entries of its rows and columns: a permutation, gains
// below 0 left out.
template <class Bits, class V>
TSENOR_FN Bits least_cover(const V (&w)[4][4]) {
  choice<V, Bits> e[4][4], row[4], col[4], gains[4][4];
  entries_of(w, e, true);
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    row[k] = better(better(e[k][0], e[k][1]), better(e[k][2], e[k][3]));
    col[k] = better(better(e[0][k], e[1][k]), better(e[2][k], e[3][k]));
  }
  Bits gaining = {};
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) {
    const V gain = e[i][j].value - (row[i].value + col[j].value);
    gains[i][j] = {gain > V{} ? gain : V{}, e[i][j].entries};
    gaining |= gain > V{} ? e[i][j].entries : Bits{};
  }
  const Bits matched = best_permutation(gains).entries & gaining;
  Bits cover = matched;
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    cover |= (matched & (0xfu << 4 * k)) == 0 ? row[k].entries : Bits{};
    cover |= (matched & (0x1111u << k)) == 0 ? col[k].entries : Bits{};
  }
  return cover;
}

// ---- all of them ----

template <class Bits, class V>
TSENOR_FN Bits best_permutation_of(const V (&w)[4][4], bool least) {
  choice<V, Bits> e[4][4];
  entries_of(w, e, least);
  return best_permutation(e).entries;
}

template <class Bits, class V>
TSENOR_FN Bits positive_entries(const V (&w)[4][4]) {
  Bits r = {};
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) r |=
      w[i][j] > V{} ? Bits{} + (1u << (4 * i + j)) : Bits{};
  return r;
}

// Whether any tile has an entry of 0.
template <class Lanes, class V>
TSENOR_FN bool has_zero(const V (&w)[4][4]) {
  V least = w[0][0];
  TSENOR_UNROLL for (int k = 1; k < 16; k++) least = lesser(least, w[k / 4][k % 4]);
  return any_of<Lanes>(least == V{});
}

// The entries of the optimal mask, n = 1 .. 4 in every row and column, or at most n and then none of zero; weights are
// not negative. The optimum is missed by less than 2^-20 of it, and not at all if sums of weights are exact.
template <class Lanes, class V>
TSENOR_FN typename Lanes::bits best_of_tile4(const V (&w)[4][4], int n, bool at_most) {
  using Bits = typename Lanes::bits;
  Bits kept = Bits{} + 0xffffu;
  if (n == 1) kept = best_permutation_of<Bits>(w, false);
  if (n == 2) kept = at_most ? at_most_two<Lanes>(w) : best_two_in_four<Bits>(w).entries;
  if (n == 3) kept ^= at_most ? least_cover<Bits>(w) : best_permutation_of<Bits>(w, true);
  return at_most && has_zero<Lanes>(w) ? kept & positive_entries<Bits>(w) : kept;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
