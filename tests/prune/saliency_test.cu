// Magnitude, Wanda, the gram matrix and the layer's error.
#include <limits>

#include "pruners.cuh"
#include "support/refused.hpp"

namespace tsenor_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

class Prune : public device_test {};

TEST_F(Prune, MagnitudeIsTheReferences) {
  const layer_data l(40, 64, 1, 11);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    const device_layer d(l);
    ASSERT_TRUE(call_magnitude(c.nm, d.view(), d.outputs(), {c.structure, {}}, nullptr).ok());
    expect_same(l, d.result(), reference_magnitude(c, l.w()), 0);
  }
}

TEST_F(Prune, WandaIsTheReferences) {
  const layer_data l(40, 64, 100, 12);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    expect_same(l, run_wanda(c, l), reference_wanda(c, l.w(), l.g()), 0);
  }
}

TEST_F(Prune, WandaPrunesWeightsOfDeadInputsFirst) {
  layer_data l(16, 32, 100, 13);
  for (const int dead : {3, 9, 22}) l.gram[dead * l.cols + dead] = dead == 3 ? 0.f : dead == 9 ? nan : -1.f;
  const reference_case c{{4, 8}, prune::structure::row_wise};
  const pruned_layer found = run_wanda(c, l);
  expect_same(l, found, reference_wanda(c, l.w(), l.g()), 0);
  for (const int dead : {3, 9, 22})
    for (int i = 0; i < l.rows; ++i) EXPECT_EQ(found.mask[i * l.cols + dead], 0);
}

TEST_F(Prune, WandaTakesMagnitudeWhereAllInputsAreDead) {
  layer_data l(40, 64, 10, 20);
  l.kill(0, l.cols, 0.f);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    expect_same(l, run_wanda(c, l), reference_magnitude(c, l.w()), 0);
  }
}

TEST_F(Prune, WandaInPlaceOfAPartOfAWiderMatrix) {
  const layer_data l(16, 32, 50, 14);
  const reference_case c{{4, 8}, prune::structure::transposable};
  std::vector<float> wide(l.rows * 40, 7.f);
  for (std::int64_t i = 0; i < l.rows; ++i)
    std::copy_n(l.weights.begin() + i * l.cols, l.cols, wide.begin() + i * 40 + 4);
  const device_buffer<float> weights(wide), gram(l.gram), norms(l.cols);
  const device_buffer<std::uint8_t> mask(l.rows * l.cols);
  prune::outputs<float> out;
  out.pruned = {weights.data() + 4, 40};
  out.mask = mask.data();
  const tsenor::matrix_view<const float> view(weights.data() + 4, l.rows, l.cols, 40);
  ASSERT_TRUE(call_wanda(c.nm, view, gram.data(), norms.data(), out, {}, nullptr).ok());
  const auto found = weights.read();
  const reference_result expected = reference_wanda(c, l.w(), l.g());
  EXPECT_EQ(mask.read(), expected.mask);
  for (std::int64_t i = 0; i < l.rows; ++i)
    for (std::int64_t j = 0; j < 40; ++j)
      ASSERT_EQ(found[i * 40 + j], j < 4 || j >= 36 ? 7.f : float(expected.weights(i, j - 4)));
}

TEST_F(Prune, GramAddsUpBatches) {
  const layer_data l(8, 48, 75, 15);
  const device_handles on;
  ASSERT_EQ(cublasSetMathMode(on->blas, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
  const device_buffer<float> inputs(l.inputs), gram(l.gram.size());
  std::int64_t done = 0;
  for (const std::int64_t tokens : {40, 0, 1, 34}) {
    const tsenor::matrix_view<const float> batch(inputs.data() + done * l.cols, tokens, l.cols);
    ASSERT_TRUE(prune::accumulate_gram(on, batch, gram.data(), done == 0).ok());
    done += tokens;
  }
  ASSERT_EQ(done, l.tokens);
  const auto found = gram.read();
  for (std::int64_t i = 0; i < l.cols; ++i) {
    for (std::int64_t j = 0; j < l.cols; ++j) {
      const float scale = std::sqrt(l.gram[i * l.cols + i] * l.gram[j * l.cols + j]);
      ASSERT_NEAR(found[i * l.cols + j], l.gram[i * l.cols + j], 2e-6f * scale);  // TF32 would be off by 1e-4
      ASSERT_EQ(found[i * l.cols + j], found[j * l.cols + i]);
    }
  }
  cublasMath_t math;
  ASSERT_EQ(cublasGetMathMode(on->blas, &math), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(math, CUBLAS_TF32_TENSOR_OP_MATH) << "the caller's setting was not restored";
}

TEST_F(Prune, GramOfNaNMakesADeadInput) {
  layer_data l(8, 32, 20, 16);
  l.inputs[5 * l.cols + 17] = nan;
  const device_handles on;
  const device_buffer<float> inputs(l.inputs), gram(l.gram.size());
  const tsenor::matrix_view<const float> batch(inputs.data(), l.tokens, l.cols);
  ASSERT_TRUE(prune::accumulate_gram(on, batch, gram.data(), true).ok());
  l.gram = gram.read();
  for (std::int64_t i = 0; i < l.cols; ++i)
    for (std::int64_t j = 0; j < l.cols; ++j)
      ASSERT_EQ(std::isnan(l.gram[i * l.cols + j]), i == 17 || j == 17) << i << " " << j;
}

TEST_F(Prune, LayerErrorIsTheReferences) {
  const layer_data l(600, 40, 90, 17);  // more rows than are multiplied at a time
  const reference_result pruned = reference_magnitude({{2, 4}}, l.w());
  const device_handles on;
  const device_layer d(l);
  const device_buffer<float> v(std::vector<float>(pruned.weights.data.begin(), pruned.weights.data.end()));
  const std::size_t bytes = prune::layer_error_workspace(l.rows, l.cols);
  const device_buffer<std::uint8_t> memory(bytes);
  const device_buffer<prune::layer_error_sums> result(1);
  ASSERT_TRUE(
      prune::layer_error(on, d.view(), {v.data(), l.rows, l.cols}, d.gram.data(), {memory.data(), bytes}, result.data())
          .ok());
  const auto found = result.read()[0];
  const double expected = relative_error(l.w(), pruned.weights, l.g());
  EXPECT_GT(expected, 0.01);
  EXPECT_NEAR(found.error / found.norm, expected, 1e-4 * expected);
  static_cast<void>(memory.read());
}

TEST_F(Prune, LayerErrorRefusesBuffersThatShareMemory) {
  const layer_data l(16, 32, 20, 36);
  const device_handles on;
  const device_layer d(l);
  const std::size_t bytes = prune::layer_error_workspace(l.rows, l.cols);
  const device_buffer<std::uint8_t> memory(bytes);
  const device_buffer<prune::layer_error_sums> result(1);
  const device_buffer<float> pruned(l.weights);
  expect_apart(
      {{"gram", d.gram.data(), false},
       {"weights", d.weights.data(), false},
       {"pruned", pruned.data(), false},
       {"result", result.data(), true},
       {"workspace", memory.data(), true}},
      [&] { return result.untouched() && memory.untouched(); },
      [&](const std::vector<place>& at) {
        const auto view = [&](int k) {
          return tsenor::matrix_view<const float>(static_cast<const float*>(at[k].at), l.rows, l.cols);
        };
        return prune::layer_error(on, view(1), view(2), static_cast<const float*>(at[0].at), {at[4].at, bytes},
                                  static_cast<prune::layer_error_sums*>(at[3].at));
      });
}

TEST_F(Prune, RefusesWhatIsWrongAndWritesNothing) {
  const layer_data l(16, 32, 20, 18);
  const device_layer d(l);
  using tsenor::status_code;
  const auto odd = tsenor::matrix_view<const float>(d.weights.data(), 15, 32);
  EXPECT_EQ(call_magnitude({4, 8}, odd, d.outputs(), {}, nullptr).code(), status_code::not_divisible);
  prune::outputs<float> none;
  EXPECT_EQ(call_magnitude({4, 8}, d.view(), none, {}, nullptr).code(), status_code::invalid_pointer);
  prune::outputs<float> shared = d.outputs();
  shared.pruned = d.weights.data() + 1;
  EXPECT_EQ(call_magnitude({4, 8}, d.view(), shared, {}, nullptr).code(), status_code::overlapping_buffers);
  EXPECT_EQ(call_wanda({4, 8}, d.view(), nullptr, d.norms.data(), d.outputs(), {}, nullptr).code(),
            status_code::invalid_pointer);
  const tsenor::matrix_view<const float> batch(d.weights.data(), 8, 32, 32, 2, 256);
  EXPECT_EQ(call_magnitude({4, 8}, batch, d.outputs(), {}, nullptr).code(), status_code::invalid_shape);
  EXPECT_TRUE(d.untouched());
}

TEST_F(Prune, RowWiseTakesAnyNumberOfRows) {
  const layer_data l(13, 32, 20, 19);
  const reference_case c{{4, 8}, prune::structure::row_wise};
  const device_layer d(l);
  ASSERT_TRUE(call_magnitude(c.nm, d.view(), d.outputs(), {c.structure, {}}, nullptr).ok());
  expect_same(l, d.result(), reference_magnitude(c, l.w()), 0);
}

}  // namespace
}  // namespace tsenor_test
