// Importances other than the default, on the GPU. Each must give the mask of weights that already are those
// importances.
#include <algorithm>
#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_test {
namespace {

using tsenor::matrix_view;

const layout where{{8, 16}, 48, 64, 0, 2, 0};

std::vector<float> test_weights() {
  return make_weights(distribution::gaussian, 1, static_cast<std::int64_t>(where.elements()), 83);
}

/// Solves `test_weights()` under `importance`, and compares with the mask of `importances`, by magnitude.
template <class Importance>
void expect_mask_of(const std::vector<float>& importances, const Importance& importance) {
  const auto weights = test_weights();
  const device_call<float> call(where, weights);
  const auto done = tsenor::find_mask<8, 16>(call.input(), call.outputs(), tsenor::options::published(), importance);
  ASSERT_TRUE(done) << done.message();
  const auto s = call.result();
  expect_consistent(where, weights, s, tsenor::constraint::at_most, poison);
  const auto expected = solve_on_gpu(where, importances, tsenor::options::published());
  EXPECT_EQ(s.mask, expected.mask);
  EXPECT_NEAR(s.value(), expected.value(), 1e-6 * expected.value());
  EXPECT_NEAR(s.bound(), expected.bound(), 1e-6 * expected.bound());
}

/// Depends on everything that it is given, and on data of its own in device memory.
struct by_place {
  const float* of_row;
  TSENOR_HOST_DEVICE float operator()(float weight, std::int64_t row, std::int64_t col, std::int64_t batch) const {
    return std::fabs(weight) * of_row[row] * static_cast<float>(1 + col % 3 + 2 * batch);
  }
};

struct as_it_is {
  TSENOR_HOST_DEVICE float operator()(float weight, std::int64_t, std::int64_t, std::int64_t) const { return weight; }
};

class Importance : public device_test {};

TEST_F(Importance, OfTheCallersOwnSeesWeightRowColumnAndBatch) {
  std::vector<float> of_row(where.rows);
  for (std::size_t i = 0; i < of_row.size(); ++i) of_row[i] = 0.5f + static_cast<float>(i * 7 % 5);
  const device_buffer<float> on_device(of_row);
  auto importances = test_weights();
  const by_place on_host{of_row.data()};
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(importances.size()); ++k) {
    const std::int64_t b = k / where.batch_stride(), i = k % where.batch_stride() / where.cols;
    importances[k] = on_host(importances[k], i, k % where.cols, b);
  }
  expect_mask_of(importances, by_place{on_device.data()});
}

TEST_F(Importance, OfWandaIsTheMagnitudeTimesTheColumnsNorm) {
  std::vector<float> norms(where.cols);
  for (std::size_t j = 0; j < norms.size(); ++j) norms[j] = 0.25f + static_cast<float>(j * 11 % 7);
  const device_buffer<float> on_device(norms);
  auto importances = test_weights();
  for (std::size_t k = 0; k < importances.size(); ++k)
    importances[k] = std::fabs(importances[k]) * norms[k % norms.size()];
  expect_mask_of(importances, tsenor::wanda{on_device.data()});
}

TEST_F(Importance, SquaredIsTheSquare) {
  auto importances = test_weights();
  for (float& x : importances) x *= x;
  expect_mask_of(importances, tsenor::squared{});
}

TEST_F(Importance, SquaredDoesNotLoseTinyWeights) {
  auto weights = test_weights();
  const device_call<float> call(where, weights);
  ASSERT_TRUE((tsenor::find_mask<8, 16>(call.input(), call.outputs(), {}, tsenor::squared{})));
  const auto expected = call.mask.read();
  for (float& w : weights) w = std::ldexp(w, -100);
  const device_call<float> tiny(where, weights);
  ASSERT_TRUE((tsenor::find_mask<8, 16>(tiny.input(), tiny.outputs(), {}, tsenor::squared{})));
  EXPECT_EQ(tiny.mask.read(), expected);
}

TEST_F(Importance, BelowZeroCountsAsZeroAndIsCounted) {
  const auto weights = test_weights();
  const device_call<float> call(where, weights);
  ASSERT_TRUE((tsenor::find_mask<8, 16>(call.input(), call.outputs(), {}, as_it_is{})));
  const auto s = call.result();
  std::int64_t counted = 0;
  for (const auto& r : s.reports) counted += r.replaced;
  EXPECT_EQ(counted, std::count_if(weights.begin(), weights.end(), [](float w) { return w < 0; }));
  auto clamped = weights;
  for (float& w : clamped) w = std::max(w, 0.f);
  EXPECT_EQ(s.mask, solve_on_gpu(where, clamped, {}).mask);
}

TEST_F(Importance, OfWandaWithoutNormsIsRefused) {
  const device_call<float> call(where, test_weights());
  const auto done = tsenor::find_mask<8, 16>(call.input(), call.outputs(), {}, tsenor::wanda{});
  EXPECT_EQ(done.code(), tsenor::status_code::invalid_pointer);
  EXPECT_TRUE(call.outputs_untouched());
}

}  // namespace
}  // namespace tsenor_test
