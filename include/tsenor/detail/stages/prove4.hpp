// prove4: prices for the mask of a 4x4 tile, and what they leave open of it (certified.hpp).
//
// With r = -u the prices u, v prove a mask the optimum if r_i - v_j <= w_ij for entries that it keeps and v_j - r_i <= -w_ij for
// the others. Bellman and Ford's algorithm meets such bounds on differences if they can be met, that is if no exchange of
// entries gains. Where rows and columns may keep fewer than N, a hub h stands for keeping nothing: r_i >= h >= v_j, with
// equality for lines that do keep fewer. All numbers are integers, so that nothing is rounded but the weights: down where they
// are kept and up where they are not, which leaves the mask no better than it is. If it misses the optimum by a rounding, the
// passes end at prices that leave a little open.
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
TSENOR_FN bool lower_all(const std::int64_t (&w)[4][4], const mask4& m, prices4& p, std::int64_t& hub) {
  bool lowered = false;
  const auto lower = [&](std::int64_t& x, std::int64_t most) {
    lowered = lowered || x > most;
    x = x > most ? most : x;
  };
  TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) {
    if (m.keeps(i, j))
      lower(p.row[i], p.col[j] + w[i][j]);
    else
      lower(p.col[j], p.row[i] - w[i][j]);
  }
  if (!m.at_most) return lowered;
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    lower(hub, p.row[k]);
    lower(p.col[k], hub);
    if (m.room_in_row(k) > 0) lower(p.row[k], hub);
    if (m.room_in_col(k) > 0) lower(hub, p.col[k]);
  }
  return lowered;
}

// None of them positive where rows and columns may keep fewer than N.
TSENOR_FN prices4 prices_of(const std::int64_t (&w)[4][4], const mask4& m) {
  constexpr int vertices = 9;
  prices4 p = {{}, {}};
  std::int64_t hub = 0;
  for (int pass = 0; pass < vertices && lower_all(w, m, p, hub); pass++) {
  }
  TSENOR_UNROLL for (int k = 0; k < 4; k++) {
    p.row[k] = hub - p.row[k];
    p.col[k] = p.col[k] - hub;
    if (m.at_most && p.row[k] > 0) p.row[k] = 0;
    if (m.at_most && p.col[k] > 0) p.col[k] = 0;
  }
  return p;
}

// G of certified.hpp.
TSENOR_FN std::int64_t left_open(const std::int64_t (&w)[4][4], const mask4& m, const prices4& p) {
  std::int64_t open = 0;
  TSENOR_UNROLL for (int i = 0; i < 4; i++) {
    open -= m.room_in_row(i) * p.row[i] + m.room_in_col(i) * p.col[i];
    TSENOR_UNROLL for (int j = 0; j < 4; j++) {
      const std::int64_t surplus = w[i][j] + p.row[i] + p.col[j];
      if ((surplus < 0) == m.keeps(i, j)) open += surplus < 0 ? -surplus : surplus;
    }
  }
  return open;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
