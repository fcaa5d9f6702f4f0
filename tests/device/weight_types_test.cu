// All weight types on the GPU: CUDA's and the library's own of a format are the same, and both are judged by the CPU's
// solution of the same values in float.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cmath>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"
#include "support/small_floats.hpp"
#include "tsenor/find_mask.cuh"

namespace tsenor_test {
namespace {

template <class CudaType, class OwnType>
struct format {
  using cuda_type = CudaType;
  using own_type = OwnType;
};

using formats = testing::Types<format<__half, tsenor::float16>, format<__nv_bfloat16, tsenor::bfloat16>,
                               format<__nv_fp8_e4m3, tsenor::float8_e4m3>, format<__nv_fp8_e5m2, tsenor::float8_e5m2>>;

/// The same bits as another type.
template <class To, class From>
std::vector<To> reinterpreted(const std::vector<From>& from) {
  static_assert(sizeof(To) == sizeof(From));
  std::vector<To> to(from.size());
  std::memcpy(static_cast<void*>(to.data()), from.data(), from.size() * sizeof(From));
  return to;
}

template <int N, int M, class T>
solution_of<T> solve(const layout& l, const std::vector<T>& weights) {
  const device_call<T> call(l, weights);
  const auto done = tsenor::find_mask<N, M>(call.input(), call.outputs(), tsenor::options::published());
  EXPECT_TRUE(done) << done.message();
  auto s = call.result();
  expect_consistent(l, weights, s, tsenor::constraint::at_most, poison);
  return s;
}

template <class Format>
class WeightTypes : public device_test {};
TYPED_TEST_SUITE(WeightTypes, formats);

TYPED_TEST(WeightTypes, OfCudaAndOfTheLibraryGiveTheMaskOfTheirValues) {
  using cuda_type = typename TypeParam::cuda_type;
  using own_type = typename TypeParam::own_type;
  const layout l{{8, 16}, 64, 96, 2, 2, 3};
  std::vector<own_type> weights;
  std::vector<float> values;
  for (const float w : make_weights(distribution::gaussian, 1, static_cast<std::int64_t>(l.elements()), 89)) {
    weights.push_back(encoded<own_type>(w));
    values.push_back(static_cast<float>(decoded(weights.back())));
  }

  const auto own = solve<8, 16>(l, weights);
  const auto cuda = solve<8, 16>(l, reinterpreted<cuda_type>(weights));
  const auto as_float = solve_on_gpu(l, values, tsenor::options::published());
  const auto cpu = solve_on_cpu(l, values, tsenor::options::published(), poison);

  EXPECT_EQ(own.mask, as_float.mask);
  EXPECT_EQ(own.packed, as_float.packed);
  EXPECT_NEAR(own.value(), as_float.value(), 1e-12 * as_float.value());
  EXPECT_NEAR(own.value(), cpu.value(), 1e-3 * cpu.value());
  EXPECT_EQ(cuda.mask, own.mask);
  EXPECT_EQ(std::memcmp(cuda.pruned.data(), own.pruned.data(), l.elements() * sizeof(own_type)), 0);
  EXPECT_EQ(std::memcmp(cuda.reports.data(), own.reports.data(), l.tiles() * sizeof(tsenor::tile_report)), 0);
}

TYPED_TEST(WeightTypes, OfEveryBitPatternAreReadAsTheirValues) {
  using own_type = typename TypeParam::own_type;
  using word = decltype(own_type::bits);
  const std::int64_t patterns = std::int64_t{1} << 8 * sizeof(word), cols = sizeof(word) == 1 ? 16 : 256;
  const layout l{{8, 16}, patterns / cols, cols};
  std::vector<own_type> weights(l.elements());
  std::vector<float> values(l.elements());
  for (std::size_t k = 0; k < weights.size(); ++k) {
    weights[k].bits = static_cast<word>(k);
    values[k] = static_cast<float>(decoded(weights[k]));
  }
  const auto s = solve<8, 16>(l, weights);
  const auto as_float = solve_on_gpu(l, values, tsenor::options::published());
  EXPECT_EQ(s.mask, as_float.mask);
  for (std::size_t t = 0; t < l.tiles(); ++t) {
    EXPECT_EQ(s.reports[t].replaced, as_float.reports[t].replaced) << "tile " << t;
    EXPECT_NEAR(s.reports[t].value, as_float.reports[t].value, 1e-12 * as_float.reports[t].value) << "tile " << t;
  }
}

class DoubleWeights : public device_test {};

TEST_F(DoubleWeights, ThatAreFloatsGiveTheMaskOfTheFloats) {
  const layout l{{4, 8}, 64, 64, 1};
  const auto floats = make_weights(distribution::gaussian, 1, static_cast<std::int64_t>(l.elements()), 97);
  const auto s = solve<4, 8>(l, std::vector<double>(floats.begin(), floats.end()));
  const auto as_float = solve_on_gpu(l, floats, tsenor::options::published());
  EXPECT_EQ(s.mask, as_float.mask);
  EXPECT_NEAR(s.value(), as_float.value(), 1e-12 * as_float.value());
}

TEST_F(DoubleWeights, BeyondTheRangeOfFloatLoseNothing) {
  const layout l{{4, 8}, 64, 64};
  const auto weights = make_weights<double>(distribution::gaussian, l.rows, l.cols, 101);
  const auto expected = solve<4, 8>(l, weights);
  for (const int exponent : {-900, 900}) {
    auto scaled = weights;
    for (double& w : scaled) w = std::ldexp(w, exponent);
    const auto s = solve<4, 8>(l, scaled);
    EXPECT_EQ(s.mask, expected.mask) << "scaled by 2^" << exponent;
    EXPECT_EQ(s.value(), std::ldexp(expected.value(), exponent));
  }
}

}  // namespace
}  // namespace tsenor_test
