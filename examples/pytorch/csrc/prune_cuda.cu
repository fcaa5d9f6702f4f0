#include "prune.hpp"
#include "tsenor/prune/prune.cuh"

namespace tsenor_torch {
namespace {

namespace prune = tsenor::prune;

tsenor::matrix_view<const float> view_of(const prune_request& r) { return {r.weights, r.rows, r.cols, r.row_stride}; }

prune::outputs<float> outputs_of(const prune_request& r) {
  prune::outputs<float> out;
  out.pruned = {r.weights, r.row_stride};
  out.mask = {r.mask, r.cols};
  return out;
}

prune::sparsegpt_options options_of(const prune_request& r, const sparsegpt_parameters& p) {
  prune::sparsegpt_options o;
  o.rule = r.rule;
  o.tokens = p.tokens;
  o.damping = p.damping;
  return o;
}

}  // namespace

tsenor::status magnitude(const prune_request& r) {
  return prune::magnitude(r.pattern, view_of(r), outputs_of(r), r.rule, r.on.stream);
}

tsenor::status wanda(const prune_request& r, const float* gram, float* norms) {
  return prune::wanda(r.pattern, view_of(r), gram, norms, outputs_of(r), r.rule, r.on.stream);
}

tsenor::status sparsegpt_memory(const prune_request& r, const sparsegpt_parameters& p, std::size_t* bytes) {
  return prune::sparsegpt_workspace(r.on, r.pattern, r.rows, r.cols, options_of(r, p), bytes);
}

tsenor::status sparsegpt(const prune_request& r, const float* gram, const sparsegpt_parameters& p,
                         prune::workspace memory) {
  return prune::sparsegpt(r.on, r.pattern, view_of(r), gram, outputs_of(r), memory, options_of(r, p));
}

std::size_t alps_inputs_size(std::int64_t inputs) { return prune::alps_inputs_size(inputs); }

tsenor::status alps_prepare_memory(const prune::handles& on, std::int64_t inputs, std::size_t* bytes) {
  return prune::alps_prepare_workspace(on, inputs, bytes);
}

tsenor::status alps_prepare(const prune::handles& on, const float* gram, std::int64_t inputs, void* to,
                            prune::workspace memory, double damping) {
  return prune::alps_prepare(on, gram, {to, inputs}, memory, damping);
}

tsenor::status alps_memory(const prune_request& r, std::size_t* bytes) {
  return prune::alps_workspace(r.pattern, r.rows, r.cols, bytes);
}

tsenor::status alps(const prune_request& r, void* inputs, int most_iterations, prune::workspace memory,
                    int* iterations) {
  prune::alps_options o;
  o.rule = r.rule;
  o.iterations = most_iterations;
  prune::alps_report report{};
  const tsenor::status s =
      prune::alps(r.on, r.pattern, view_of(r), {inputs, r.cols}, outputs_of(r), memory, o, &report);
  *iterations = report.iterations;
  return s;
}

tsenor::status accumulate_gram(const prune::handles& on, tsenor::matrix_view<const float> inputs, float* gram) {
  return prune::accumulate_gram(on, inputs, gram, false);
}

}  // namespace tsenor_torch
