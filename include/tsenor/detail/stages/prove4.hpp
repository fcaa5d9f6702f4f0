// prove4: what is left open of the mask of a 4x4 tile (certified.hpp), and prices for it.
//
// What is left open is exact: integers are added up, so the search of tile4 finds the best mask.
//
// With r = -u the prices u, v prove that a mask is the optimum if r_i - v_j <= w_ij for entries that it keeps, and
// v_j - r_i <= -w_ij for the others. Bellman and Ford's algorithm meets such bounds on differences if they can be met,
// that is if no exchange of entries gains. Where rows and columns may keep fewer than N, a hub h stands for keeping
// nothing: r_i >= h >= v_j, with equality for lines that do keep fewer. All numbers are integers. Only the weights are
// rounded: down where they are kept and up where they are not, which leaves the mask no better than it is. If it misses
// the optimum by a rounding, the passes end at prices that leave a little open.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>

namespace tsenor::detail::TSENOR_MACHINE {

// Weights count 2^-48 of scaled importances: they are below 2^49, prices within 2^53, sums over a tile below 2^59.
constexpr int fine_bits = 48;

// The mask of a tile: bit 4 row + col.
struct mask4 {
  std::uint32_t kept;
  int n;
  bool at_most;

  TSENOR_FN bool keeps(int i, int j) const { return kept >> (4 * i + j) & 1u; }
  // Entries that a row or column could keep and does not.
  TSENOR_FN int room_in_row(int i) const { return n - keeps(i, 0) - keeps(i, 1) - keeps(i, 2) - keeps(i, 3); }
  TSENOR_FN int room_in_col(int j) const { return n - keeps(0, j) - keeps(1, j) - keeps(2, j) - keeps(3, j); }
};

struct prices4 {
  std::int64_t row[4], col[4];
};

// One pass over all bounds, of rows with the opposite sign; whether a number was lowered.
TSENOR_FN bool lower_all(const std::int64_t (&w)[4][4], const mask4& mask, prices4& prices, std::int64_t& hub) {
  bool lowered = false;
  const auto lower = [&](std::int64_t& x, std::int64_t most) {
    lowered = lowered || x > most;
    x = x > most ? most : x;
  };
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) {
    if (mask.keeps(i, j))
      lower(prices.row[i], prices.col[j] + w[i][j]);
    else
      lower(prices.col[j], prices.row[i] - w[i][j]);
  }
  if (!mask.at_most) return lowered;
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    lower(hub, prices.row[k]);
    lower(prices.col[k], hub);
    if (mask.room_in_row(k) > 0) lower(prices.row[k], hub);
    if (mask.room_in_col(k) > 0) lower(hub, prices.col[k]);
  }
  return lowered;
}

// None of them positive where rows and columns may keep fewer than N.
TSENOR_FN prices4 prices_of(const std::int64_t (&w)[4][4], const mask4& mask) {
  constexpr int vertices = 9;
  prices4 prices = {{}, {}};
  std::int64_t hub = 0;
  for (int pass = 0; pass < vertices && lower_all(w, mask, prices, hub); pass++) {
  }
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    prices.row[k] = hub - prices.row[k];
    prices.col[k] = prices.col[k] - hub;
    if (mask.at_most && prices.row[k] > 0) prices.row[k] = 0;
    if (mask.at_most && prices.col[k] > 0) prices.col[k] = 0;
  }
  return prices;
}

TSENOR_FN std::int64_t kept_of(const std::int64_t (&w)[4][4], std::uint32_t entries) {
  std::int64_t sum = 0;
  TSENOR_UNROLL for (int k = 0; k < 16; k++) if (entries >> k & 1u) sum += w[k / 4][k % 4];
  return sum;
}

// What the best mask keeps more than this one: the least G of certified.hpp, found without prices.
TSENOR_FN std::int64_t left_open(const std::int64_t (&w)[4][4], const mask4& mask) {
  return kept_of(w, best_of_tile4<one_tile>(w, mask.n, mask.at_most)) - kept_of(w, mask.kept);
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
