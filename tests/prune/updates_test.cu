// SparseGPT and ALPS against their references, and where inputs are dead, few, or no numbers.
#include <limits>

#include "pruners.cuh"
#include "support/refused.hpp"

namespace tsenor_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

class PruneUpdates : public device_test {};

void expect_finite(const pruned_layer& found) {
  for (std::size_t k = 0; k < found.weights.size(); ++k) ASSERT_TRUE(std::isfinite(found.weights[k])) << "weight " << k;
}

/// Inputs 5 and 20 are 0, input 11 has a NaN.
layer_data with_dead_inputs(unsigned seed) {
  layer_data l(24, 48, 100, seed);
  for (std::int64_t t = 0; t < l.tokens; ++t) l.inputs[t * l.cols + 5] = l.inputs[t * l.cols + 20] = 0;
  l.inputs[7 * l.cols + 11] = nan;
  l.make_gram();
  return l;
}

TEST_F(PruneUpdates, SparseGptIsTheReferences) {
  const layer_data l(40, 96, 300, 21);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    for (const int block : {32, 128}) {
      prune::sparsegpt_report report{};
      expect_same(l, run_sparsegpt(c, l, &report, block), reference_sparsegpt(c, l.w(), l.g(), l.tokens), 1e-3);
      EXPECT_EQ(report.dead_inputs, 0);
      EXPECT_EQ(report.diagonal_only, 0);
    }
  }
}

TEST_F(PruneUpdates, SparseGptWithFewerTokensThanInputs) {
  const layer_data l(24, 64, 10, 22);
  const reference_case c{{4, 8}};
  prune::sparsegpt_report report{};
  expect_same(l, run_sparsegpt(c, l, &report), reference_sparsegpt(c, l.w(), l.g(), l.tokens), 1e-2);
  EXPECT_EQ(report.diagonal_only, 0);
}

TEST_F(PruneUpdates, SparseGptLeavesWeightsOfDeadInputsAsTheyAreAndPrunesThemFirst) {
  const layer_data l = with_dead_inputs(23);
  for (const auto s : {prune::structure::row_wise, prune::structure::transposable}) {
    const reference_case c{{4, 8}, s};
    SCOPED_TRACE(label(c));
    prune::sparsegpt_report report{};
    const pruned_layer found = run_sparsegpt(c, l, &report);
    EXPECT_EQ(report.dead_inputs, 3);
    expect_same(l, found, reference_sparsegpt(c, l.w(), l.g(), l.tokens), 1e-3);
    for (std::int64_t k = 0; k < l.rows * l.cols; ++k)
      if (const auto j = k % l.cols; found.mask[k] != 0 && (j == 5 || j == 11 || j == 20))
        ASSERT_EQ(found.weights[k], l.weights[k]);
  }
}

TEST_F(PruneUpdates, LayersWithoutInputsKeepTheLargestWeights) {
  layer_data l(16, 32, 4, 34);
  l.kill(0, l.cols, std::numeric_limits<float>::infinity());
  matrix importance = l.w(), kept = l.w();
  for (double& x : importance.data) x *= x;
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    const byte_mask mask = best_mask(c, importance);
    for (std::size_t k = 0; k < mask.size(); ++k) kept.data[k] = mask[k] != 0 ? l.weights[k] : 0;
    expect_same(l, run_sparsegpt(c, l), {mask, kept}, 0);
    expect_same(l, run_alps(c, l, 300), {mask, kept}, 1e-6);
  }
}

TEST_F(PruneUpdates, SparseGptOfNoGramMatrixTakesItsDiagonal) {
  layer_data l(16, 32, 50, 24);
  l.gram[0 * l.cols + 1] = l.gram[1 * l.cols + 0] = 100 * l.gram[0];  // no longer positive definite
  const reference_case c{{4, 8}};
  prune::sparsegpt_report report{};
  const pruned_layer found = run_sparsegpt(c, l, &report);
  expect_finite(found);
  EXPECT_EQ(report.diagonal_only, 1);
  for (std::size_t k = 0; k < found.mask.size(); ++k)
    ASSERT_EQ(found.weights[k], found.mask[k] != 0 ? l.weights[k] : 0.f) << "without a factor nothing is passed on";
}

TEST_F(PruneUpdates, WeightsThatAreNoNumbersCountAsZero) {
  layer_data l(16, 32, 100, 25), zero = l;
  l.weights[37] = nan;
  l.weights[170] = std::numeric_limits<float>::infinity();
  zero.weights[37] = zero.weights[170] = 0;
  const reference_case c{{4, 8}};
  EXPECT_EQ(run_sparsegpt(c, l).weights, run_sparsegpt(c, zero).weights);
  EXPECT_EQ(run_alps(c, l, 9).weights, run_alps(c, zero, 9).weights);
}

TEST_F(PruneUpdates, AlpsIsTheReferencesForSomeIterations) {
  const layer_data l(40, 64, 300, 26);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    for (const int iterations : {1, 6, 13})
      expect_same(l, run_alps(c, l, iterations), reference_alps(c, l.w(), l.g(), iterations), 2e-3);
  }
}

TEST_F(PruneUpdates, AlpsEndsWhereTheReferenceEnds) {
  const layer_data l(32, 64, 300, 27);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    prune::alps_report report{};
    const double found = relative_error(l.w(), run_alps(c, l, 300, &report).v(l), l.g());
    const double expected = relative_error(l.w(), reference_alps(c, l.w(), l.g(), 300).weights, l.g());
    EXPECT_NEAR(found, expected, 0.02 * expected);
    EXPECT_GT(report.iterations, 1);
    EXPECT_LT(report.iterations, 300) << "the support should have settled";
    EXPECT_GT(report.inverses, 1);
  }
}

TEST_F(PruneUpdates, AlpsTakesAllIterationsIfAsked) {
  const layer_data l(32, 64, 300, 27);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    prune::alps_report settled{}, all{};
    const double early = relative_error(l.w(), run_alps(c, l, 300, &settled).v(l), l.g());
    const double late = relative_error(l.w(), run_alps(c, l, 300, &all, false).v(l), l.g());
    EXPECT_LT(settled.iterations, 300);
    EXPECT_EQ(all.iterations, 300);
    EXPECT_NEAR(late, early, 0.05 * early);
  }
}

TEST_F(PruneUpdates, AlpsWithFewerTokensThanInputs) {
  const layer_data l(24, 64, 10, 28);
  const reference_case c{{4, 8}};
  expect_same(l, run_alps(c, l, 6), reference_alps(c, l.w(), l.g(), 6), 1e-2);
}

TEST_F(PruneUpdates, AlpsWithDeadInputs) {
  const layer_data l = with_dead_inputs(29);
  const reference_case c{{4, 8}};
  prune::alps_report report{};
  const pruned_layer found = run_alps(c, l, 6, &report);
  expect_same(l, found, reference_alps(c, l.w(), l.g(), 6), 2e-3);
  EXPECT_EQ(report.dead_inputs, 3);
}

TEST_F(PruneUpdates, AlpsWithoutAnyInputTakesTheIdentity) {
  layer_data l(16, 32, 4, 30);
  std::fill(l.gram.begin(), l.gram.end(), 0.f);
  const reference_case c{{4, 8}, prune::structure::row_wise};
  prune::alps_report report{};
  const pruned_layer found = run_alps(c, l, 6, &report);
  EXPECT_EQ(report.dead_inputs, l.cols);
  expect_same(l, found, reference_alps(c, l.w(), l.g(), 6), 1e-4);
}

TEST_F(PruneUpdates, ErrorsFallFromWandaToSparseGptToAlps) {
  const layer_data l(64, 128, 600, 31);
  for (const reference_case& c : reference_cases()) {
    SCOPED_TRACE(label(c));
    const double wanda = relative_error(l.w(), run_wanda(c, l).v(l), l.g());
    const double sparsegpt = relative_error(l.w(), run_sparsegpt(c, l).v(l), l.g());
    const double alps = relative_error(l.w(), run_alps(c, l, 300).v(l), l.g());
    EXPECT_LT(sparsegpt, wanda);
    EXPECT_LT(alps, sparsegpt);
  }
}

TEST_F(PruneUpdates, InPlaceIsTheSameAsBeside) {
  const layer_data l(16, 32, 100, 32);
  const reference_case c{{4, 8}};
  const device_handles on;
  const device_layer d(l);
  prune::outputs<float> out = d.outputs();
  out.pruned = d.weights.data();
  prune::sparsegpt_options options;
  options.tokens = l.tokens;
  options.block = 32;
  const auto memory = sparsegpt_memory(on, c.nm, l, options);
  ASSERT_TRUE(
      call_sparsegpt(on, c.nm, d.view(), d.gram.data(), out, {memory.data(), memory.size()}, options, nullptr).ok());
  EXPECT_EQ(d.weights.read(), run_sparsegpt(c, l).weights);
}

TEST_F(PruneUpdates, RefuseWhatIsWrongAndWriteNothing) {
  using tsenor::status_code;
  const layer_data l(16, 32, 20, 33);
  const device_handles on;
  const device_layer d(l);
  const tsenor::pattern nm{4, 8};
  const auto memory = sparsegpt_memory(on, nm, l);
  const auto sparsegpt = [&](const prune::handles& h, prune::workspace m, const prune::sparsegpt_options& o) {
    return call_sparsegpt(h, nm, d.view(), d.gram.data(), d.outputs(), m, o, nullptr);
  };
  const auto too_small = sparsegpt(on, {memory.data(), memory.size() - 1}, {});
  EXPECT_EQ(too_small.code(), status_code::invalid_pointer);
  EXPECT_EQ(too_small.required(), std::int64_t(memory.size()));
  prune::handles other = on;
  other.stream = nullptr;
  EXPECT_EQ(sparsegpt(other, {memory.data(), memory.size()}, {}).code(), status_code::invalid_option);
  other = on;
  other.solver = nullptr;
  EXPECT_EQ(sparsegpt(other, {memory.data(), memory.size()}, {}).code(), status_code::invalid_pointer);
  prune::sparsegpt_options damping;
  damping.damping = 0;
  EXPECT_EQ(sparsegpt(on, {memory.data(), memory.size()}, damping).code(), status_code::invalid_option);
  EXPECT_EQ(call_alps(on, nm, d.view(), {nullptr, 31}, d.outputs(), {}, {}, nullptr).code(),
            status_code::invalid_shape);
  EXPECT_EQ(call_alps(on, nm, d.view(), {nullptr, 32}, d.outputs(), {}, {}, nullptr).code(),
            status_code::invalid_pointer);
  EXPECT_TRUE(d.untouched());
}

float* floats(const place& p) { return static_cast<float*>(p.at); }
prune::outputs<float> outputs_at(const place& pruned, const place& mask) {
  return {floats(pruned), static_cast<std::uint8_t*>(mask.at)};
}

TEST_F(PruneUpdates, SparseGptRefusesBuffersThatShareMemory) {
  const layer_data l(16, 32, 20, 34);
  const device_handles on;
  const device_layer d(l);
  const tsenor::pattern nm{4, 8};
  const auto memory = sparsegpt_memory(on, nm, l);
  const device_buffer<prune::sparsegpt_report> report(1);
  expect_apart(
      {{"gram", d.gram.data(), false},
       {"weights", d.weights.data(), false},
       {"pruned", d.pruned.data(), true},
       {"mask", d.mask.data(), true},
       {"report", report.data(), true},
       {"workspace", memory.data(), true}},
      [&] { return d.untouched() && report.untouched() && memory.untouched(); },
      [&](const std::vector<place>& at) {
        return call_sparsegpt(on, nm, {floats(at[1]), l.rows, l.cols}, floats(at[0]), outputs_at(at[2], at[3]),
                              {at[5].at, memory.size()}, {}, static_cast<prune::sparsegpt_report*>(at[4].at));
      });
}

TEST_F(PruneUpdates, AlpsRefusesBuffersThatShareMemory) {
  const layer_data l(16, 32, 20, 35);
  const device_handles on;
  const device_layer d(l);
  const tsenor::pattern nm{4, 8};
  std::size_t prepare_bytes = 0, bytes = 0;
  ASSERT_TRUE(prune::alps_prepare_workspace(on, l.cols, &prepare_bytes).ok());
  ASSERT_TRUE(prune::alps_workspace(nm, l.rows, l.cols, &bytes).ok());
  const device_buffer<std::uint8_t> kept(prune::alps_inputs_size(l.cols)), prepare_memory(prepare_bytes), memory(bytes);
  const auto prepare = [&](const std::vector<place>& at) {
    return prune::alps_prepare(on, floats(at[0]), {at[1].at, l.cols}, {at[2].at, prepare_bytes});
  };
  const std::vector<place> prepared{
      {"gram", d.gram.data(), false}, {"alps_inputs", kept.data(), true}, {"workspace", prepare_memory.data(), true}};
  expect_apart(
      prepared, [&] { return kept.untouched() && prepare_memory.untouched(); }, prepare);
  ASSERT_TRUE(prepare(prepared).ok());
  alignas(256) prune::alps_report report{};  // the workspace may be tried at its place
  prune::alps_options options;
  options.iterations = 3;
  expect_apart(
      {{"alps_inputs", kept.data(), false},
       {"weights", d.weights.data(), false},
       {"pruned", d.pruned.data(), true},
       {"mask", d.mask.data(), true},
       {"report", &report, true},
       {"workspace", memory.data(), true}},
      [&] { return d.untouched() && report.iterations == 0 && memory.untouched(); },
      [&](const std::vector<place>& at) {
        return call_alps(on, nm, {floats(at[1]), l.rows, l.cols}, {at[0].at, l.cols}, outputs_at(at[2], at[3]),
                         {at[5].at, bytes}, options, static_cast<prune::alps_report*>(at[4].at));
      });
}

}  // namespace
}  // namespace tsenor_test
