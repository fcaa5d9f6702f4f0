// tsenor prune: the linear layers of a checkpoint, pruned.
#include <cmath>
#include <iostream>
#include <limits>

#include "commands.hpp"
#include "convert.hpp"
#include "layers.hpp"
#include "print.hpp"
#include "progress.hpp"
#include "pruner.hpp"
#include "results.hpp"
#include "rewrite.hpp"

namespace tool {
namespace {

// One output file or folder.
struct job {
  const pattern_rules* patterns;
  const named_structure* structure;
  std::filesystem::path out;
  selection chosen;
};

// What became of a tensor, added up over its matrices.
struct pruned_tensor {
  tensor_entry tensor;
  tsenor::pattern pattern;
  pruning sums;
  int matrices = 0, matrices_without_inputs = 0;
  std::int64_t replaced = 0, no_squares = 0;
  importance_sums importance;

  // NaN, null in JSON, where weights of 64 bits are so large that their sum is infinite.
  double kept() const {
    if (!std::isfinite(importance.total)) return std::numeric_limits<double>::quiet_NaN();
    return importance.total > 0 ? importance.kept / importance.total : 1;
  }
};

std::unique_ptr<pruner> make_pruner(const settings& s) {
  std::string why_not;
  if (s.device != device_choice::cpu)
    if (auto cuda = make_cuda_pruner(why_not)) return cuda;
  if (s.device == device_choice::cuda) throw failure(exit_code::device, "--device cuda: " + why_not);
  return make_cpu_pruner(s);
}

void add(pruned_tensor& sums, const pruning& one, const layer_data& l, const importance_sums& importance) {
  if (one.error) sums.sums.error = sums.sums.error.value_or(0) + *one.error;
  sums.sums.dead_inputs += one.dead_inputs;
  sums.sums.iterations = std::max(sums.sums.iterations, one.iterations);
  sums.sums.seconds += one.seconds;
  sums.sums.prepare_seconds += one.prepare_seconds;
  sums.matrices += 1;
  sums.matrices_without_inputs += one.dead_inputs == l.cols;
  sums.importance.total += importance.total;
  sums.importance.kept += importance.kept;
}

pruned_tensor prune_tensor(const layer_source& layers, const selected_tensor& t, const job& j, pruner& machine,
                           const settings& s, const tensor_writer& write) {
  pruned_tensor result{t.tensor, t.pattern, {}, 0, 0, 0, 0, {}};
  std::size_t index = 0;
  for (const block& part : matrices_of(t.tensor)) {
    layer l = layers.read(t.tensor, part, index++);
    for (const float w : l.data.weights) result.replaced += !std::isfinite(w);
    result.no_squares += l.no_squares;
    const pruning done = machine.prune(l.data, t.pattern, j.structure->rule, s);
    const std::vector<std::uint8_t> mask = layers.stored_order(l, done.mask);
    add(result, done, l.data, sums_of(l.stored, mask, importance_choice::magnitude));
    if (s.method == pruning_method::magnitude || s.method == pruning_method::wanda)
      apply_bytes(l.stored.data, mask, s.threads);  // weights stay as they were, whatever their type
    else
      from_floats({layers.stored_order(l, l.data.weights), 0}, l.stored);
    write(part.offset * (t.tensor.bits / 8), l.stored.data);
  }
  if (result.sums.error) *result.sums.error /= result.matrices;
  return result;
}

void print_json(const std::vector<pruned_tensor>& tensors, const job& j, const settings& s, const char* device) {
  for (const pruned_tensor& p : tensors) {
    const bool known = p.sums.error && std::isfinite(*p.sums.error);
    print_line({{"name", p.tensor.name},
                {"dtype", p.tensor.dtype},
                {"shape", p.tensor.shape},
                {"rows", p.tensor.rows()},
                {"cols", p.tensor.cols()},
                {"pattern", text_of(p.pattern)},
                {"structure", j.structure->name},
                {"method", name_of(s.method)},
                {"device", device},
                {"kept", p.kept()},
                {"error", known ? nlohmann::ordered_json(*p.sums.error) : nullptr},
                {"dead_inputs", p.sums.dead_inputs},
                {"replaced", p.replaced},
                {"iterations", p.sums.iterations},
                {"seconds", p.sums.seconds},
                {"prepare_seconds", p.sums.prepare_seconds}});
  }
}

void print(const std::vector<pruned_tensor>& tensors, const job& j, const settings& s, const char* device) {
  if (s.json) return print_json(tensors, j, s, device);
  std::cout << escaped(file_name(j.out)) << ": " << j.structure->name << ", " << name_of(s.method) << ", device "
            << device << "\n\n";
  std::vector<table_row> rows = {{"matrix", "shape", "pattern", "kept %", "error", "dead", "seconds"}};
  std::int64_t replaced = 0;
  for (const pruned_tensor& p : tensors) {
    const bool known = p.sums.error && std::isfinite(*p.sums.error);
    rows.push_back({escaped(p.tensor.name), shape_text(p.tensor.shape), text_of(p.pattern),
                    std::isnan(p.kept()) ? "-" : fixed(100 * p.kept(), 3), known ? fixed(*p.sums.error, 6) : "-",
                    std::to_string(p.sums.dead_inputs), fixed(p.sums.seconds, 4)});
    replaced += p.replaced;
  }
  print_aligned(rows);
  print_replaced(replaced);
}

// The notes that the inputs of a tensor call for.
void note_inputs(const pruned_tensor& p, selection& rest) {
  selection one;
  if (p.no_squares > 0)
    one.notes.push_back("the gram matrix of " + in_quotes(p.tensor.name) + " has " + std::to_string(p.no_squares) +
                        " entries on its diagonal that are NaN, infinite or negative, which count as dead inputs: "
                        "compute it again");
  if (p.matrices_without_inputs == 0) return add_rest(rest, one);
  const std::string which = p.matrices == 1 ? ""
                                            : " in " + std::to_string(p.matrices_without_inputs) + " of its " +
                                                  std::to_string(p.matrices) + " matrices";
  one.notes.push_back("no input of " + in_quotes(p.tensor.name) + " was active" + which +
                      ", so its weights are chosen by magnitude there");
  add_rest(rest, one);
}

std::vector<pruned_tensor> run(const job& j, const checkpoint& in, const layer_source& layers, pruner& machine,
                               const settings& s) {
  std::map<std::string, const selected_tensor*> by_name;
  std::vector<const tensor_entry*> changed;
  for (const selected_tensor& t : j.chosen.chosen) {
    by_name.emplace(t.tensor.name, &t);
    changed.push_back(&t.tensor);
  }
  std::vector<pruned_tensor> done;
  progress_bar progress(weights_of(j.chosen.chosen));
  rewrite(in, j.out, changed, [&](const tensor_entry& t, const tensor_writer& write) {
    done.push_back(prune_tensor(layers, *by_name.at(t.name), j, machine, s, write));
    progress.advance(checked_product(t.shape, 1).value_or(0), t.name);
  });
  return done;
}

}  // namespace

exit_code prune(const settings& s) {
  const checkpoint in(s.in);
  const layer_source layers(in, s);
  std::vector<job> jobs;
  selection rest;
  for (const pattern_rules& patterns : s.patterns)
    for (const named_structure& structure : s.structures) {
      jobs.push_back({&patterns, &structure, output_path(s, patterns, structure),
                      layers.select(patterns, structure.rule.search.edge, s)});
      refuse_overlap(in, jobs.back().out);
      layers.refuse_overlap_with_grams(jobs.back().out);
      add_rest(rest, jobs.back().chosen);
    }
  const std::unique_ptr<pruner> machine = make_pruner(s);
  for (const job& j : jobs) {
    const std::vector<pruned_tensor> done = run(j, in, layers, *machine, s);
    if (&j != &jobs.front() && !s.json) std::cout << '\n';
    print(done, j, s, machine->device());
    for (const pruned_tensor& p : done) note_inputs(p, rest);
  }
  print_rest(rest, in, s.json);
  flush_output();
  return exit_code::success;
}

}  // namespace tool
