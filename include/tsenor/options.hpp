/// \file
/// What can be asked of find_mask.
#pragma once

namespace tsenor {

/// The algorithm.
enum class method {
  optimal,   ///< the mask that keeps the most importance, with a certificate: prices, then shortest augmenting paths
  published  ///< arXiv 2505.23949: log-space Dykstra projections, then greedy and local-search rounding; approximate
};

/// How many weights each row and each column of a tile keeps.
enum class constraint {
  exactly,  ///< N in every row and column
  at_most   ///< N or fewer; as legal for sparse hardware, and as good or better in value
};

/// What happens where rows or columns are no multiple of M.
enum class edge {
  reject,  ///< status_code::not_divisible
  partial  ///< the tiles at the edge are smaller; they keep at most N in every row and column
};

/// Options of find_mask; one outside its range is answered with invalid_option. Build them with a named constructor and
/// change what you need: `auto o = tsenor::options::published(); o.edge = tsenor::edge::partial;`
struct options {
  tsenor::method method = tsenor::method::published;
  tsenor::constraint constraint = tsenor::constraint::at_most;  ///< as in the paper
  tsenor::edge edge = tsenor::edge::reject;

  /// method::published alone, as the next two: Dykstra iterations T, 1 to 100000. Fewer than about 300 can be worse than no plan at all.
  int iterations = 300;
  /// Entropy temperature, as a fraction of the largest importance of each tile; 1e-4 to 1e4.
  double tau = 0.005;
  /// Local-search swaps L tried per tile, 0 to 4096. `constraint::exactly` then completes the mask in any case.
  int local_search_steps = 10;

  /// The mask that keeps the most importance with exactly N in every row and column; set `constraint` for at most N.
  static constexpr options optimal() {
    options o;
    o.method = tsenor::method::optimal;
    o.constraint = tsenor::constraint::exactly;
    return o;
  }
  /// The published method with the paper's parameters: T = 300, tau = 0.005, L = 10, at most N.
  static constexpr options published() { return options{}; }
};

}  // namespace tsenor
