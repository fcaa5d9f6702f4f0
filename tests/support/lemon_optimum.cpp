#include "lemon_optimum.hpp"

#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace tsenor_test {

using graph = lemon::SmartDigraph;
using simplex = lemon::NetworkSimplex<graph, int, std::int64_t>;

struct lemon_optimum::network {
  network(int rows_, int cols_, int n_, tsenor::constraint c_);
  void add_slack(int n);

  int rows, cols;
  graph g;
  std::vector<graph::Node> row_nodes, col_nodes;
  std::vector<graph::Arc> entries;  // row-major
  graph::ArcMap<int> capacity{g};
  graph::ArcMap<std::int64_t> cost{g};
  graph::NodeMap<int> supply{g};
  std::unique_ptr<simplex> solver;
};

lemon_optimum::network::network(int rows_, int cols_, int n, tsenor::constraint c) : rows(rows_), cols(cols_) {
  if (c == tsenor::constraint::exactly && rows != cols) throw std::invalid_argument("exactly N needs a square tile");
  for (int i = 0; i < rows; ++i) supply[row_nodes.emplace_back(g.addNode())] = n;
  for (int j = 0; j < cols; ++j) supply[col_nodes.emplace_back(g.addNode())] = -n;
  for (const graph::Node row : row_nodes) {
    for (const graph::Node col : col_nodes) capacity[entries.emplace_back(g.addArc(row, col))] = 1;
  }
  if (c == tsenor::constraint::at_most) add_slack(n);
  solver = std::make_unique<simplex>(g, false);
  solver->upperMap(capacity).supplyMap(supply);
}

// What a row does not keep flows to a slack column, what a column does not keep comes from a slack row, at no cost.
void lemon_optimum::network::add_slack(int n) {
  const auto add_arc = [this](graph::Node from, graph::Node to, int most) {
    const graph::Arc arc = g.addArc(from, to);
    capacity[arc] = most;
    cost[arc] = 0;
  };
  const graph::Node slack_row = g.addNode(), slack_col = g.addNode();
  supply[slack_row] = n * cols;
  supply[slack_col] = -n * rows;
  for (const graph::Node row : row_nodes) add_arc(row, slack_col, n);
  for (const graph::Node col : col_nodes) add_arc(slack_row, col, n);
  add_arc(slack_row, slack_col, n * std::max(rows, cols));
}

lemon_optimum::lemon_optimum(int rows, int cols, int n, tsenor::constraint c)
    : network_(std::make_unique<network>(rows, cols, n, c)) {}

lemon_optimum::~lemon_optimum() = default;

template <class T>
double lemon_optimum::solve(const T* importance, std::uint8_t* mask) {
  network& net = *network_;
  const std::size_t count = net.entries.size();
  const double largest = *std::max_element(importance, importance + count);
  const double one = std::ldexp(1.0, 40);
  for (std::size_t k = 0; k < count; ++k) {
    net.cost[net.entries[k]] = largest > 0 ? -std::llround(double(importance[k]) / largest * one) : 0;
  }
  if (net.solver->costMap(net.cost).run() != simplex::OPTIMAL) throw std::runtime_error("LEMON found no optimum");
  double value = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const bool kept = net.solver->flow(net.entries[k]) != 0;
    value += kept ? double(importance[k]) : 0.0;
    if (mask != nullptr) mask[k] = kept;
  }
  return value;
}

std::int64_t lemon_optimum::solve_integers(const std::int64_t* importance) {
  network& net = *network_;
  for (std::size_t k = 0; k < net.entries.size(); ++k) net.cost[net.entries[k]] = -importance[k];
  if (net.solver->costMap(net.cost).run() != simplex::OPTIMAL) throw std::runtime_error("LEMON found no optimum");
  std::int64_t value = 0;
  for (std::size_t k = 0; k < net.entries.size(); ++k) value += importance[k] * net.solver->flow(net.entries[k]);
  return value;
}

template double lemon_optimum::solve(const float*, std::uint8_t*);
template double lemon_optimum::solve(const double*, std::uint8_t*);

}  // namespace tsenor_test
