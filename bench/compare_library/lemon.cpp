/// \file
/// The peer LEMON: its network simplex on every tile, one thread.
#include <cmath>
#include <cstdint>
#include <exception>
#include <vector>

#include "interface.hpp"
#include "lemon_optimum.hpp"

namespace {

/// The importances of the tile whose first entry is `weights[0]`.
void read_tile(const float* weights, std::int64_t stride, int m, std::vector<float>& tile) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < m; ++j) tile[i * m + j] = std::abs(weights[i * stride + j]);
}

void write_tile(const std::vector<std::uint8_t>& kept, std::int64_t stride, int m, std::uint8_t* mask) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < m; ++j) mask[i * stride + j] = kept[i * m + j];
}

}  // namespace

/// The network is built once a call, and only its costs are rewritten for each tile.
extern "C" const char* find_mask_with_lemon(const mask_request* request) {
  const int m = request->m;
  const auto* weights = static_cast<const float*>(request->weights);
  std::vector<float> tile(m * m);
  std::vector<std::uint8_t> kept(m * m);
  try {
    tsenor_test::lemon_optimum solver(m, m, request->n, tsenor_bench::options_of(*request).constraint);
    for (std::int64_t row = 0; row < request->rows; row += m) {
      for (std::int64_t col = 0; col < request->cols; col += m) {
        const std::int64_t first = row * request->cols + col;
        read_tile(weights + first, request->cols, m, tile);
        solver.solve(tile.data(), kept.data());
        write_tile(kept, request->cols, m, request->mask + first);
      }
    }
  } catch (const std::exception&) {
    return "LEMON found no optimum";
  }
  return nullptr;
}
