#include "picture.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "convert.hpp"
#include "results.hpp"

namespace tool {
namespace {

// The number of tiles along a side.
std::uint64_t tiles_along(std::uint64_t side, int m) { return (side + m - 1) / m; }

// The importances of the tile as fractions of the largest, padded with zeros to m x m: what the published method
// solves. `band` are the rows of the matrix that the tile lies in.
std::vector<float> padded_importance(const matrix& band, const tile_picture& p, std::int64_t left,
                                     importance_choice choice) {
  const int m = p.pattern.m;
  std::vector<double> padded(static_cast<std::size_t>(m * m));
  visit_weights(band, [&](const auto* w) {
    for (int i = 0; i < p.rows; ++i)
      for (int j = 0; j < p.cols; ++j)
        padded[static_cast<std::size_t>(i * m + j)] = importance_of(w[i * band.cols + left + j], choice);
  });
  const double largest = *std::max_element(padded.begin(), padded.end());
  std::vector<float> shares;
  for (const double w : padded) shares.push_back(static_cast<float>(largest > 0 ? w / largest : 0));
  return shares;
}

// The plan from its potentials. An all-zero tile has the uniform one.
std::vector<double> plan_of(const std::vector<float>& importance, tsenor::pattern p) {
  const bool all_zero = *std::max_element(importance.begin(), importance.end()) == 0;
  if (all_zero) return std::vector<double>(importance.size(), static_cast<double>(p.n) / p.m);
  const std::vector<float> prices = published_prices(importance, p);
  std::vector<double> result(importance.size());
  for (int i = 0; i < p.m; ++i)
    for (int j = 0; j < p.m; ++j) {
      const double surplus = double(importance[i * p.m + j]) + prices[i] + prices[p.m + j];
      result[i * p.m + j] = std::min(1.0, std::exp(surplus / tsenor::options::published().tau));
    }
  return result;
}

// The upper left rows x cols part of an m x m matrix.
template <class T>
std::vector<T> cut(const std::vector<T>& padded, const tile_picture& p) {
  std::vector<T> part;
  for (int i = 0; i < p.rows; ++i) part.insert(part.end(), &padded[i * p.pattern.m], &padded[i * p.pattern.m] + p.cols);
  return part;
}

void check_tile(const tensor_entry& t, int m, tile_index tile) {
  if (t.shape.size() != 2)
    throw failure(exit_code::usage, "--svg draws a matrix, but " + in_quotes(t.name) + " is a batch of them (" +
                                        shape_text(t.shape) + "); choose another tensor with --select");
  const std::uint64_t down = tiles_along(t.shape[0], m), across = tiles_along(t.shape[1], m);
  if (static_cast<std::uint64_t>(tile.row) >= down || static_cast<std::uint64_t>(tile.col) >= across)
    throw failure(exit_code::usage, "--tile " + std::to_string(tile.row) + "," + std::to_string(tile.col) +
                                        " lies outside the matrix, which has " + std::to_string(down) + " x " +
                                        std::to_string(across) + " tiles; they are counted from 0");
}

}  // namespace

std::string draw_tile(const checkpoint& in, const selected_tensor& t, solver& machine, const settings& s) {
  check_tile(t.tensor, t.pattern.m, *s.picture);
  const std::int64_t side = t.pattern.m, left = s.picture->col * side, top = s.picture->row * side;
  const block rows{static_cast<std::uint64_t>(top * t.tensor.cols()), std::min(side, t.tensor.rows() - top),
                   t.tensor.cols()};
  const matrix band = read_matrix(in.file_of(t.tensor), t.tensor, rows);
  const solution found = machine.solve(to_floats(band).values, band.rows, band.cols,
                                       {t.pattern, s.methods.front(), s.importance, s.threads});
  tile_picture p;
  p.pattern = t.pattern;
  p.rows = static_cast<int>(band.rows);
  p.cols = static_cast<int>(std::min(side, band.cols - left));
  const std::vector<float> padded = padded_importance(band, p, left, s.importance);
  p.importance = cut(padded, p);
  p.plan = cut(plan_of(padded, t.pattern), p);
  for (int i = 0; i < p.rows; ++i) {
    const std::uint8_t* row = &found.mask[static_cast<std::size_t>(i * band.cols + left)];
    p.mask.insert(p.mask.end(), row, row + p.cols);
  }
  const double all = std::accumulate(p.importance.begin(), p.importance.end(), 0.0);
  const double kept = std::inner_product(p.importance.begin(), p.importance.end(), p.mask.begin(), 0.0);
  p.kept = all > 0 ? kept / all : 1;
  return svg_of(p, t, s);
}

}  // namespace tool
