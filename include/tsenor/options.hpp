/// \file
/// The options of find_mask.
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
  at_most   ///< N or fewer; sparse hardware accepts it too, and it never keeps less importance
};

/// What happens if rows or columns are no multiple of M.
enum class edge {
  reject,  ///< status_code::not_divisible
  partial  ///< the tiles at the edge are smaller; they keep at most N in every row and column
};

/// Where method::optimal begins. Both find the optimum; among equally good masks they may choose different ones.
enum class start {
  cold,  ///< from the weights alone; mask_outputs::prices are only written
  warm   ///< from mask_outputs::prices: faster if they came from nearly the same weights
};

/// Options of find_mask. An option outside its range gives invalid_option. The defaults ask for the optimum with
/// exactly N in every row and column. To be explicit, begin with a named constructor and change what you need:
/// `auto o = tsenor::options::optimal(); o.edge = tsenor::edge::partial;`
struct options {
  /// The algorithm.
  tsenor::method method = tsenor::method::optimal;
  /// Whether rows and columns keep N, or N or fewer.
  tsenor::constraint constraint = tsenor::constraint::exactly;
  /// What happens if rows or columns are no multiple of M.
  tsenor::edge edge = tsenor::edge::reject;
  /// For method::optimal only. `warm` needs mask_outputs::prices; method::published refuses it.
  tsenor::start start = tsenor::start::cold;

  /// For method::published only: Dykstra iterations T, 1 to 100000. Fewer than about 300 can give a worse mask than
  /// no plan at all.
  int iterations = 300;
  /// For method::published only: temperature tau, as a fraction of the largest importance of each tile, 1e-4 to 1e4.
  double tau = 0.005;
  /// For method::published only: local-search swaps L tried per tile, 0 to 4096. constraint::exactly then completes
  /// the mask in any case.
  int local_search_steps = 10;

  /// The mask that keeps the most importance with exactly N in every row and column; set `constraint` for at most N.
  static constexpr options optimal() { return options{}; }
  /// The published method with the paper's parameters: at most N, T = 300, tau = 0.005, L = 10.
  static constexpr options published() {
    options o;
    o.method = tsenor::method::published;
    o.constraint = tsenor::constraint::at_most;
    return o;
  }
};

}  // namespace tsenor
