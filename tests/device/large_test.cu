// A matrix of more than 2^31 weights: its last tiles are those that it would have alone.
#include <cuda_fp8.h>

#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/random_weights.cuh"
#include "support/small_floats.hpp"
#include "tsenor/find_mask.cuh"
#include "tsenor/weight_types.hpp"

namespace tsenor_test {
namespace {

constexpr tsenor::pattern nm{8, 16};
constexpr std::int64_t cols = 32768, rows = 65536 + 16, size = rows * cols, band = nm.m * cols;
static_assert(size > std::int64_t{1} << 31);
constexpr std::int64_t tiles = size / (nm.m * nm.m), band_tiles = cols / nm.m;

template <class T>
std::vector<T> copied(const T* from, std::int64_t count) {
  std::vector<T> to(static_cast<std::size_t>(count));
  require(cudaMemcpy(static_cast<void*>(to.data()), from, to.size() * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return to;
}

// A row of tiles that begins at `first` against the same by the CPU.
void expect_band(const tsenor::float8_e4m3* weights, const std::uint8_t* mask, const tsenor::float8_e4m3* pruned,
                 const tsenor::tile_report* reports, std::int64_t first) {
  const layout l{nm, nm.m, cols};
  const auto original = copied(weights + first, band);
  const auto kept = copied(mask + first, band);
  const auto left = copied(pruned + first, band);
  const auto found = copied(reports + first / (nm.m * nm.m), band_tiles);
  std::vector<float> values;
  for (const auto w : original) values.push_back(static_cast<float>(decoded(w)));
  const auto expected = solve_on_cpu(l, values, {}, poison);

  EXPECT_FEASIBLE(l.view(kept.data()), nm, tsenor::constraint::exactly);
  double value = 0;
  for (std::size_t k = 0; k < kept.size(); ++k) {
    value += kept[k] ? std::abs(double(values[k])) : 0.0;
    ASSERT_EQ(left[k].bits, kept[k] ? original[k].bits : 0) << "element " << k << " of the band at " << first;
  }
  EXPECT_NEAR(value, expected.value(), 1e-6 * value);
  double reported = 0;
  for (const auto& r : found) reported += r.value;
  EXPECT_NEAR(reported, value, 1e-9 * value);
}

class Large : public device_test {};

TEST_F(Large, MatricesOfMoreThanTwoToThe31WeightsAreSolvedToTheirEnd) {
  std::size_t free_bytes = 0, total = 0;
  require(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
  const std::size_t needed = std::size_t(size) * 3 + std::size_t(tiles) * sizeof(tsenor::tile_report) + (1u << 28);
  if (reduced() || free_bytes < needed) GTEST_SKIP() << "needs " << (needed >> 30) + 1 << " GB of device memory";
  const device_buffer<tsenor::float8_e4m3> weights(std::size_t{size}), pruned(std::size_t{size});
  const device_buffer<std::uint8_t> mask(std::size_t{size});
  const device_buffer<tsenor::tile_report> reports(std::size_t{tiles});
  auto* const cuda_weights = reinterpret_cast<__nv_fp8_e4m3*>(weights.data());
  require(fill_random(cuda_weights, size, random_weights::gaussian, 173), "fill_random");
  tsenor::mask_outputs<tsenor::float8_e4m3> out;
  out.mask = mask.data();
  out.pruned = pruned.data();
  out.reports = reports.data();

  const tsenor::matrix_view<const tsenor::float8_e4m3> view(weights.data(), rows, cols);
  const tsenor::status s = tsenor::find_mask<nm.n, nm.m>(view, out);

  ASSERT_TRUE(s.ok()) << s.message();
  require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  for (const std::int64_t first : {std::int64_t{0}, size / band / 2 * band, size - band})
    expect_band(weights.data(), mask.data(), pruned.data(), reports.data(), first);
}

}  // namespace
}  // namespace tsenor_test
