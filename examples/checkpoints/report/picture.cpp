#include "picture.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "importance.hpp"

namespace tool {
namespace {

// The number of tiles along a side.
std::uint64_t tiles_along(std::uint64_t side, int m) { return (side + m - 1) / m; }

// The importances of the tile as fractions of the largest, padded with zeros to m x m: what the published method solves.
std::vector<double> padded_importance(matrix& weights, const tile_picture& p, tile_index tile,
                                      importance_choice choice) {
  const int m = p.pattern.m;
  std::vector<double> padded(m * m);
  visit_weights(weights, [&](const auto* w) {
    for (int i = 0; i < p.rows; ++i)
      for (int j = 0; j < p.cols; ++j)
        padded[i * m + j] = importance_of(w[(tile.row * m + i) * weights.cols + tile.col * m + j], choice);
  });
  const double largest = *std::max_element(padded.begin(), padded.end());
  if (largest > 0)
    for (double& w : padded) w /= largest;
  return padded;
}

// The plan from its potentials. An all-zero tile has the uniform one.
std::vector<double> plan_of(const std::vector<double>& importance, tsenor::pattern p) {
  const bool all_zero = *std::max_element(importance.begin(), importance.end()) == 0;
  if (all_zero) return std::vector<double>(importance.size(), static_cast<double>(p.n) / p.m);
  const std::vector<double> prices = published_prices(importance, p);
  std::vector<double> result(importance.size());
  for (int i = 0; i < p.m; ++i)
    for (int j = 0; j < p.m; ++j) {
      const double surplus = importance[i * p.m + j] + prices[i] + prices[p.m + j];
      result[i * p.m + j] = std::min(1.0, std::exp(surplus / tsenor::options::published().tau));
    }
  return result;
}

// The upper left rows x cols part of an m x m matrix.
std::vector<double> cut(const std::vector<double>& padded, const tile_picture& p) {
  std::vector<double> part;
  for (int i = 0; i < p.rows; ++i) part.insert(part.end(), &padded[i * p.pattern.m], &padded[i * p.pattern.m] + p.cols);
  return part;
}

}  // namespace

void check_picture(const plan& work, const settings& s) {
  if (work.tasks.size() != 1)
    throw failure(exit_code::usage, "--svg draws one matrix, and here are " + std::to_string(work.tasks.size()) +
                                        " that fit the pattern; name one with --select");
  const task& t = work.tasks.front();
  const std::uint64_t down = tiles_along(t.tensor.shape.at(0), t.pattern.m),
                      across = tiles_along(t.tensor.shape.at(1), t.pattern.m);
  if (static_cast<std::uint64_t>(s.picture->row) >= down || static_cast<std::uint64_t>(s.picture->col) >= across)
    throw failure(exit_code::usage, "--tile " + std::to_string(s.picture->row) + "," + std::to_string(s.picture->col) +
                                        " lies outside the matrix, which has " + std::to_string(down) + " x " +
                                        std::to_string(across) + " tiles; they are counted from 0");
}

tile_picture make_picture(matrix& m, const task& t, const solution& found, const settings& s) {
  const std::int64_t side = t.pattern.m, top = s.picture->row * side, left = s.picture->col * side;
  tile_picture p;
  p.pattern = t.pattern;
  p.rows = static_cast<int>(std::min(side, m.rows - top));
  p.cols = static_cast<int>(std::min(side, m.cols - left));
  const std::vector<double> padded = padded_importance(m, p, *s.picture, s.importance);
  p.importance = cut(padded, p);
  p.plan = cut(plan_of(padded, t.pattern), p);
  for (int i = 0; i < p.rows; ++i) {
    const std::uint8_t* row = &found.mask[(top + i) * m.cols + left];
    p.mask.insert(p.mask.end(), row, row + p.cols);
  }
  const double all = std::accumulate(p.importance.begin(), p.importance.end(), 0.0);
  const double kept = std::inner_product(p.importance.begin(), p.importance.end(), p.mask.begin(), 0.0);
  p.kept = all > 0 ? kept / all : 1;
  return p;
}

}  // namespace tool
