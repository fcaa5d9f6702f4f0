#include "pruners.cuh"

#include "tsenor/prune/magnitude.cuh"
#include "tsenor/prune/wanda.cuh"

namespace tsenor_test {
namespace {

// Calls `prune` with the pattern as a template argument.
template <class Call>
tsenor::status with_pattern(tsenor::pattern nm, const Call& call) {
  if (nm.n == 2 && nm.m == 4) return call(prune::static_pattern<2, 4>{});
  return call(prune::static_pattern<4, 8>{});
}

void expect_ok(const tsenor::status& s) {
  ASSERT_TRUE(s.ok()) << s.message() << " (" << s.observed() << ", " << s.required() << ")";
}

}  // namespace

tsenor::status call_magnitude(tsenor::pattern nm, tsenor::matrix_view<const float> w, prune::outputs<float> out,
                              const prune::sparsity& rule, cudaStream_t stream) {
  return with_pattern(nm, [&](auto p) { return prune::magnitude(p, w, out, rule, stream); });
}

tsenor::status call_wanda(tsenor::pattern nm, tsenor::matrix_view<const float> w, const float* gram, float* norms,
                          prune::outputs<float> out, const prune::sparsity& rule, cudaStream_t stream) {
  return with_pattern(nm, [&](auto p) { return prune::wanda(p, w, gram, norms, out, rule, stream); });
}

tsenor::status call_sparsegpt(const prune::handles& on, tsenor::pattern nm, tsenor::matrix_view<const float> w,
                              const float* gram, prune::outputs<float> out, prune::workspace memory,
                              const prune::sparsegpt_options& options, prune::sparsegpt_report* report) {
  return with_pattern(nm, [&](auto p) { return prune::sparsegpt(on, p, w, gram, out, memory, options, report); });
}

tsenor::status call_alps(const prune::handles& on, tsenor::pattern nm, tsenor::matrix_view<const float> w,
                         prune::alps_inputs inputs, prune::outputs<float> out, prune::workspace memory,
                         const prune::alps_options& options, prune::alps_report* report) {
  return with_pattern(nm, [&](auto p) { return prune::alps(on, p, w, inputs, out, memory, options, report); });
}

device_buffer<std::uint8_t> sparsegpt_memory(const prune::handles& on, tsenor::pattern nm, const layer_data& l,
                                             const prune::sparsegpt_options& options) {
  std::size_t bytes = 0;
  expect_ok(prune::sparsegpt_workspace(on, nm, l.rows, l.cols, options, &bytes));
  return device_buffer<std::uint8_t>(bytes);
}

pruned_layer run_sparsegpt(const reference_case& c, const layer_data& l, prune::sparsegpt_report* report, int block) {
  const device_handles on;
  const device_layer d(l);
  prune::sparsegpt_options options;
  options.rule.structure = c.structure;
  options.block = block;
  options.tokens = l.tokens;
  const auto memory = sparsegpt_memory(on, c.nm, l, options);
  const device_buffer<prune::sparsegpt_report> found(1);
  expect_ok(call_sparsegpt(on, c.nm, d.view(), d.gram.data(), d.outputs(), {memory.data(), memory.size()}, options,
                           found.data()));
  if (report != nullptr) *report = found.read()[0];
  static_cast<void>(memory.read());  // its guards
  return d.result();
}

pruned_layer run_alps(const reference_case& c, const layer_data& l, int iterations, prune::alps_report* report,
                      bool until_settled) {
  const device_handles on;
  const device_layer d(l);
  prune::alps_options options;
  options.rule.structure = c.structure;
  options.iterations = iterations;
  options.until_settled = until_settled;
  std::size_t prepare_bytes = 0, bytes = 0;
  expect_ok(prune::alps_prepare_workspace(on, l.cols, &prepare_bytes));
  expect_ok(prune::alps_workspace(c.nm, l.rows, l.cols, &bytes));
  const device_buffer<std::uint8_t> kept(prune::alps_inputs_size(l.cols)), prepare_memory(prepare_bytes), memory(bytes);
  const prune::alps_inputs inputs{kept.data(), l.cols};
  expect_ok(prune::alps_prepare(on, d.gram.data(), inputs, {prepare_memory.data(), prepare_bytes}));
  expect_ok(call_alps(on, c.nm, d.view(), inputs, d.outputs(), {memory.data(), bytes}, options, report));
  static_cast<void>(kept.read());
  static_cast<void>(prepare_memory.read());
  static_cast<void>(memory.read());
  return d.result();
}

pruned_layer run_wanda(const reference_case& c, const layer_data& l) {
  const device_layer d(l);
  expect_ok(call_wanda(c.nm, d.view(), d.gram.data(), d.norms.data(), d.outputs(), {c.structure, {}}, nullptr));
  return d.result();
}

}  // namespace tsenor_test
