/// \file
/// Pruned layers on the GPU.
#pragma once

#include <map>

#include "device.cuh"
#include "pruner.hpp"
#include "tsenor/prune/prune.cuh"

namespace tool {

namespace prune = tsenor::prune;
using bytes = device_array<std::uint8_t>;

// Handles on the default stream, which is what device_array and device_timer work on.
class library_handles {
 public:
  library_handles() {
    if (cublasCreate(&on_.blas) != CUBLAS_STATUS_SUCCESS || cusolverDnCreate(&on_.solver) != CUSOLVER_STATUS_SUCCESS)
      throw failure(exit_code::device, "cannot start cuBLAS and cuSOLVER; check the device's memory with nvidia-smi");
  }
  ~library_handles() {
    cublasDestroy(on_.blas);
    cusolverDnDestroy(on_.solver);
  }
  library_handles(const library_handles&) = delete;
  library_handles& operator=(const library_handles&) = delete;
  const prune::handles& get() const { return on_; }

 private:
  prune::handles on_;
};

// One layer on the device.
struct device_layer {
  device_array<float> weights, pruned, gram, norms;
  device_array<std::uint8_t> mask;
  tsenor::matrix_view<const float> view;
  prune::outputs<float> out;

  explicit device_layer(const layer_data& l)
      : weights(l.rows * l.cols),
        pruned(l.rows * l.cols),
        gram(static_cast<std::int64_t>(l.gram.size())),
        norms(l.cols),
        mask(l.rows * l.cols),
        view(weights.get(), l.rows, l.cols) {
    weights.copy_from(l.weights.data());
    gram.copy_from(l.gram.data());
    out.pruned = pruned.get();
    out.mask = mask.get();
  }
};

class cuda_pruner : public pruner {
 public:
  const char* device() const override { return "cuda"; }

  pruning prune(layer_data& l, tsenor::pattern nm, const prune::sparsity& rule, const settings& s) override {
    const device_layer d(l);
    pruning result;
    device_timer timer;
    switch (s.method) {
      case pruning_method::magnitude:
        timer.start();
        require(prune::magnitude(nm, d.view, d.out, rule));
        break;
      case pruning_method::wanda:
        timer.start();
        require(prune::wanda(nm, d.view, d.gram.get(), d.norms.get(), d.out, rule));
        break;
      case pruning_method::sparsegpt:
        sparsegpt(d, nm, rule, s, timer, result);
        break;
      case pruning_method::alps:
        alps(l, d, nm, rule, s, timer, result);
        break;
    }
    if (s.method != pruning_method::sparsegpt && s.method != pruning_method::alps) result.seconds = timer.stop();
    if (!l.gram.empty()) result.error = relative_error(d);
    d.pruned.copy_to(l.weights.data());
    result.mask.resize(l.weights.size());
    d.mask.copy_to(result.mask.data());
    return result;
  }

 private:
  void sparsegpt(const device_layer& d, tsenor::pattern nm, const prune::sparsity& rule, const settings& s,
                 device_timer& timer, pruning& result) {
    prune::sparsegpt_options options;
    options.rule = rule;
    options.tokens = s.tokens;
    std::size_t size = 0;
    require(prune::sparsegpt_workspace(handles_.get(), nm, d.view.rows, d.view.cols, options, &size));
    const bytes memory(static_cast<std::int64_t>(size));
    const device_array<prune::sparsegpt_report> report(1);
    timer.start();
    require(
        prune::sparsegpt(handles_.get(), nm, d.view, d.gram.get(), d.out, {memory.get(), size}, options, report.get()));
    result.seconds = timer.stop();
    prune::sparsegpt_report found{};
    report.copy_to(&found);
    result.dead_inputs = found.dead_inputs;
  }

  void alps(const layer_data& l, const device_layer& d, tsenor::pattern nm, const prune::sparsity& rule,
            const settings& s, device_timer& timer, pruning& result) {
    const prune::alps_inputs inputs = prepared(l, d, timer, result);
    prune::alps_options options;
    options.rule = rule;
    options.iterations = s.iterations;
    std::size_t size = 0;
    require(prune::alps_workspace(nm, d.view.rows, d.view.cols, &size));
    const bytes memory(static_cast<std::int64_t>(size));
    prune::alps_report report{};
    timer.start();
    require(prune::alps(handles_.get(), nm, d.view, inputs, d.out, {memory.get(), size}, options, &report));
    result.seconds = timer.stop();
    result.dead_inputs = report.dead_inputs;
    result.iterations = report.iterations;
    if (s.patterns.size() * s.structures.size() == 1) prepared_.clear();  // nobody asks again
  }

  // From an earlier pattern, if there was one.
  prune::alps_inputs prepared(const layer_data& l, const device_layer& d, device_timer& timer, pruning& result) {
    auto& kept = prepared_[l.name];
    if (kept == nullptr) {
      kept = std::make_unique<bytes>(static_cast<std::int64_t>(prune::alps_inputs_size(l.cols)));
      std::size_t size = 0;
      require(prune::alps_prepare_workspace(handles_.get(), l.cols, &size));
      const bytes memory(static_cast<std::int64_t>(size));
      timer.start();
      require(prune::alps_prepare(handles_.get(), d.gram.get(), {kept->get(), l.cols}, {memory.get(), size}));
      result.prepare_seconds = timer.stop();
    }
    return {kept->get(), l.cols};
  }

  double relative_error(const device_layer& d) {
    const std::size_t size = prune::layer_error_workspace(d.view.rows, d.view.cols);
    const bytes memory(static_cast<std::int64_t>(size));
    const device_array<prune::layer_error_sums> sums(1);
    require(prune::layer_error(handles_.get(), d.view, {d.pruned.get(), d.view.rows, d.view.cols}, d.gram.get(),
                               {memory.get(), size}, sums.get()));
    prune::layer_error_sums found{};
    sums.copy_to(&found);
    return found.norm > 0 ? found.error / found.norm : found.error;
  }

  library_handles handles_;
  std::map<std::string, std::unique_ptr<bytes>> prepared_;
};

}  // namespace tool
