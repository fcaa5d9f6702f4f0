// Lambdas as importances, on the GPU: each gives the mask of a functor that computes the same.
#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_test {

struct by_column {
  const float* of_col;
  float factor;
  TSENOR_HOST_DEVICE float operator()(float weight, std::int64_t, std::int64_t col, std::int64_t) const {
    return std::fabs(weight) * of_col[col] * factor;
  }
};

template <class Importance>
std::vector<std::uint8_t> mask_by(const Importance& importance) {
  const layout where{{4, 8}, 48, 64, 0, 1, 0};
  const device_call<float> call(
      where, make_weights(distribution::gaussian, 1, static_cast<std::int64_t>(where.elements()), 83));
  const auto done = tsenor::find_mask<4, 8>(call.input(), call.outputs(), {}, importance);
  EXPECT_TRUE(done) << done.message();
  return call.result().mask;
}

// nvcc takes no lambda for the device from within a test's own body.
std::vector<std::uint8_t> mask_by_device_lambda(const float* of_col, float factor) {
  return mask_by([of_col, factor] __device__(float weight, std::int64_t, std::int64_t col, std::int64_t) {
    return std::fabs(weight) * of_col[col] * factor;
  });
}
std::vector<std::uint8_t> mask_by_generic_lambda(const float* of_col, float factor) {
  return mask_by([of_col, factor] __device__(auto weight, auto, auto col, auto) {
    return std::fabs(weight) * of_col[col] * factor;
  });
}
std::vector<std::uint8_t> mask_by_lambda_for_both(const float* of_col, float factor) {
  return mask_by([of_col, factor] __host__ __device__(float weight, std::int64_t, std::int64_t col, std::int64_t) {
    return std::fabs(weight) * of_col[col] * factor;
  });
}

class Lambda : public device_test {};

TEST_F(Lambda, CountsAsAFunctorThatComputesTheSame) {
  std::vector<float> of_col(64);
  for (std::size_t j = 0; j < of_col.size(); ++j) of_col[j] = 0.5f + static_cast<float>(j * 7 % 5);
  const device_buffer<float> on_device(of_col);
  const auto expected = mask_by(by_column{on_device.data(), 3.f});
  EXPECT_NE(expected, mask_by(tsenor::magnitude{}));
  EXPECT_EQ(mask_by_device_lambda(on_device.data(), 3.f), expected);
  EXPECT_EQ(mask_by_generic_lambda(on_device.data(), 3.f), expected);
  EXPECT_EQ(mask_by_lambda_for_both(on_device.data(), 3.f), expected);
}

}  // namespace tsenor_test
