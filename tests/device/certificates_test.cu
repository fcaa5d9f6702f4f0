// Ten million random tiles, and a certificate for each: what the reports say of all of them, and what masks and prices
// prove, recomputed on the host, for one in a hundred and for every tile whose report gives reason to doubt.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "solve_on_gpu.cuh"
#include "support/certificate.hpp"
#include "support/random_weights.cuh"
#include "tsenor/check_mask.cuh"

namespace tsenor_test {
namespace {

using tsenor::constraint;
using tsenor::pattern;

constexpr pattern patterns[] = {{2, 4},  {1, 4},  {3, 4},   {3, 6},  {4, 8},   {2, 8},   {5, 10},
                                {8, 16}, {4, 16}, {16, 32}, {8, 32}, {31, 32}, {32, 64}, {16, 64}};
constexpr constraint constraints[] = {constraint::exactly, constraint::at_most};
constexpr std::int64_t tiles_down = 240, tiles_across = 250;
static_assert(std::size(patterns) * std::size(constraints) * all_random_weights.size() * tiles_down * tiles_across >=
              10'000'000);

/// A dense matrix cut into m x m tiles.
struct tile_grid {
  int m;
  std::int64_t down, across;

  __host__ __device__ std::int64_t tiles() const { return down * across; }
  __host__ __device__ std::int64_t cols() const { return across * m; }
  /// Where entry k, row-major in its tile, lies.
  __device__ std::int64_t index(std::int64_t tile, int k) const {
    return (tile / across * m + k / m) * cols() + tile % across * m + k % m;
  }
};

// A block for each tile.
__global__ void find_largest(tile_grid grid, const float* weights, float* largest) {
  __shared__ unsigned most;  // the bits of a float: those of floats >= 0 order as the floats do
  if (threadIdx.x == 0) most = 0;
  __syncthreads();
  float mine = 0;
  for (int k = threadIdx.x; k < grid.m * grid.m; k += blockDim.x)
    mine = fmaxf(mine, fabsf(weights[grid.index(blockIdx.x, k)]));
  atomicMax(&most, __float_as_uint(mine));
  __syncthreads();
  if (threadIdx.x == 0) largest[blockIdx.x] = __uint_as_float(most);
}

// Block b copies tile chosen[b].
template <class T>
__global__ void gather(tile_grid grid, const T* matrix, const std::int64_t* chosen, T* tiles) {
  const int entries = grid.m * grid.m;
  for (int k = threadIdx.x; k < entries; k += blockDim.x)
    tiles[std::int64_t(blockIdx.x) * entries + k] = matrix[grid.index(chosen[blockIdx.x], k)];
}

template <class T>
std::vector<T> gathered(tile_grid grid, const device_buffer<T>& matrix, const std::vector<std::int64_t>& chosen) {
  const device_buffer<std::int64_t> which(chosen);
  const device_buffer<T> tiles(chosen.size() * grid.m * grid.m);
  gather<<<static_cast<unsigned>(chosen.size()), 128>>>(grid, matrix.data(), which.data(), tiles.data());
  require(cudaGetLastError(), "gather");
  return tiles.read();
}

/// Random tiles of one kind, solved.
struct random_tiles {
  random_tiles(pattern nm_, constraint kept_, random_weights kind, std::uint64_t seed);
  void expect_no_violation() const;
  std::vector<std::int64_t> doubtful() const;
  void expect_proof(const std::vector<std::int64_t>& chosen) const;

  pattern nm;
  constraint kept;
  tile_grid grid;
  device_buffer<float> weights;
  device_buffer<std::uint8_t> mask;
  std::vector<tsenor::tile_report> reports;
  std::vector<float> prices;
};

random_tiles::random_tiles(pattern nm_, constraint kept_, random_weights kind, std::uint64_t seed)
    : nm(nm_),
      kept(kept_),
      grid{nm.m, reduced() ? 4 : tiles_down, reduced() ? 5 : tiles_across},
      weights(grid.tiles() * nm.m * nm.m),
      mask(weights.size()) {
  require(fill_random(weights.data(), std::int64_t(weights.size()), kind, seed), "fill_random");
  const device_buffer<tsenor::tile_report> device_reports(grid.tiles());
  const device_buffer<float> device_prices(grid.tiles() * 2 * nm.m);
  tsenor::mask_outputs<float> out;
  out.mask = mask.data();
  out.reports = device_reports.data();
  out.prices = device_prices.data();
  auto opts = tsenor::options::optimal();
  opts.constraint = kept;
  const tsenor::status done = find_mask_float(nm, {weights.data(), grid.down * nm.m, grid.cols()}, out, opts);
  EXPECT_TRUE(done.ok()) << done.message();
  reports = device_reports.read();
  prices = device_prices.read();
}

void random_tiles::expect_no_violation() const {
  const device_buffer<tsenor::mask_violations> violations(1);
  EXPECT_TRUE(tsenor::check_mask(nm, {mask.data(), grid.down * nm.m, grid.cols()}, violations.data(), kept));
  const tsenor::mask_violations found = violations.read().front();
  EXPECT_EQ(found.rows, 0);
  EXPECT_EQ(found.cols, 0);
}

/// The tiles that the reports do not call solved. None of these weights is ever replaced, no tile is partial: any flag
/// is reason to doubt.
std::vector<std::int64_t> random_tiles::doubtful() const {
  const device_buffer<float> device_largest(grid.tiles());
  find_largest<<<static_cast<unsigned>(grid.tiles()), 128>>>(grid, weights.data(), device_largest.data());
  require(cudaGetLastError(), "find_largest");
  const std::vector<float> largest = device_largest.read();
  std::vector<std::int64_t> found;
  for (std::int64_t t = 0; t < grid.tiles(); ++t) {
    const tsenor::tile_report& r = reports[t];
    const bool solved =
        r.flags == 0 && r.bound >= r.value * (1 - 1e-6) && r.bound - r.value <= gap_limit(r.value, nm.m, largest[t]);
    if (!solved) found.push_back(t);
  }
  return found;
}

/// Recomputes everything from weights, mask and prices. One message is enough for a tile that is wrong.
void random_tiles::expect_proof(const std::vector<std::int64_t>& chosen) const {
  if (chosen.empty()) return;
  const std::size_t entries = std::size_t(nm.m) * nm.m;
  const std::vector<double> importances = importances_of(gathered(grid, weights, chosen));
  const std::vector<std::uint8_t> masks = gathered(grid, mask, chosen);
  for (std::size_t k = 0; k < chosen.size(); ++k) {
    const std::int64_t t = chosen[k];
    SCOPED_TRACE(testing::Message() << "tile " << t);
    const tile_problem problem{nm, kept, nm.m, nm.m, &importances[k * entries]};
    const certificate found = judge(problem, &masks[k * entries], &prices[t * 2 * nm.m]);
    ASSERT_TRUE(holds(found));
    ASSERT_NEAR(reports[t].value, found.value, 1e-9 * found.value);
    ASSERT_NEAR(reports[t].bound, found.bound, found.limit);
  }
}

double relative_gap(const std::vector<tsenor::tile_report>& reports) {
  const auto sum = [&](double tsenor::tile_report::*field) {
    return std::accumulate(reports.begin(), reports.end(), 0.0, [=](double s, const auto& r) { return s + r.*field; });
  };
  const double value = sum(&tsenor::tile_report::value);
  return (sum(&tsenor::tile_report::bound) - value) / value;
}

/// One in a hundred, which the seed picks; all of them where there are few.
std::vector<std::int64_t> sampled(std::int64_t tiles, std::uint64_t seed) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t t = 0; t < tiles; ++t)
    if (reduced() || hashed(hashed(~seed) + t) % 100 == 0) chosen.push_back(t);
  return chosen;
}

class Certificates : public device_test, public testing::WithParamInterface<pattern> {};

INSTANTIATE_TEST_SUITE_P(Of, Certificates, testing::ValuesIn(patterns), [](const auto& info) {
  return std::to_string(info.param.n) + "of" + std::to_string(info.param.m);
});

TEST_P(Certificates, HoldForEveryRandomTile) {
  const pattern nm = GetParam();
  for (const random_weights kind : all_random_weights) {
    for (const constraint kept : constraints) {
      const std::uint64_t seed = std::uint64_t(nm.n * 100 + nm.m) * 100 + std::uint64_t(kind);
      SCOPED_TRACE(testing::Message() << name_of(kind) << (kept == constraint::exactly ? " exactly" : " at most")
                                      << ", seed " << seed);
      const random_tiles tiles(nm, kept, kind, seed);
      const std::vector<std::int64_t> doubtful = tiles.doubtful();
      EXPECT_EQ(doubtful.size(), 0u);
      EXPECT_LE(relative_gap(tiles.reports), 1e-6);
      tiles.expect_no_violation();
      tiles.expect_proof(doubtful);
      tiles.expect_proof(sampled(tiles.grid.tiles(), seed));
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tsenor_test
