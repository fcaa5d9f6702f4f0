// tsenor_prune: prunes the linear layers of a checkpoint.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "atomic_file.hpp"
#include "failure.hpp"
#include "layers.hpp"
#include "pruner.hpp"
#include "settings.hpp"
#include "tensor_file.hpp"

namespace tool {
namespace {

void refuse_inputs_as_output(const settings& s, const std::filesystem::path& out) {
  std::error_code error;
  if (std::filesystem::equivalent(s.in, out, error) || (s.gram && std::filesystem::equivalent(*s.gram, out, error)))
    throw failure(exit_code::usage, "OUT " + in_quotes(out.string()) + " is one of the inputs; choose another OUT");
}

std::unique_ptr<pruner> make_pruner(const settings& s) {
  std::string why_not = "--device cpu was given";
  if (s.device != device_choice::cpu)
    if (auto cuda = make_cuda_pruner(why_not)) return cuda;
  if (s.device == device_choice::cuda) throw failure(exit_code::device, "--device cuda: " + why_not);
  return make_cpu_pruner(s.method);
}

layer_data read_layer(input_file& in, input_file* gram, const layer& l, matrix& weights) {
  weights = read_matrix(in, l.weights);
  layer_data data{l.weights.name, weights.rows, weights.cols, to_floats(weights), {}};
  if (l.gram) {
    matrix g = read_matrix(*gram, *l.gram);
    data.gram = to_floats(g);
  }
  return data;
}

void print_head(const settings& s) {
  if (!s.json)
    std::printf("%-40s %13s %8s %16s %10s %10s %6s %10s\n", "matrix", "shape", "pattern", "structure", "method",
                "error", "dead", "seconds");
}

void print(const layer_data& l, tsenor::pattern nm, const std::string& structure, const pruning& p, const settings& s,
           const char* device) {
  const bool known = p.error && std::isfinite(*p.error);
  if (!s.json) {
    const std::string shape = std::to_string(l.rows) + " x " + std::to_string(l.cols);
    std::printf("%-40s %13s %8s %16s %10s %10s %6d %10.4f\n", escaped(l.name).c_str(), shape.c_str(),
                text_of(nm).c_str(), structure.c_str(), name_of(s.method),
                known ? std::to_string(*p.error).c_str() : "-", p.dead_inputs, p.seconds);
    return;
  }
  const nlohmann::ordered_json object = {{"name", l.name},
                                         {"rows", l.rows},
                                         {"cols", l.cols},
                                         {"pattern", text_of(nm)},
                                         {"structure", structure},
                                         {"method", name_of(s.method)},
                                         {"device", device},
                                         {"error", known ? nlohmann::ordered_json(*p.error) : nullptr},
                                         {"dead_inputs", p.dead_inputs},
                                         {"iterations", p.iterations},
                                         {"seconds", p.seconds},
                                         {"prepare_seconds", p.prepare_seconds}};
  const std::string line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::printf("%s\n", line.c_str());
}

// One output file.
void prune_checkpoint(input_file& in, input_file* gram, const layer_plan& plan, pruner& machine, tsenor::pattern nm,
                      const named_structure& structure, const settings& s) {
  atomic_file out(output_path(s, nm, structure));
  copy_all(in, out);
  for (const layer& l : plan.layers) {
    matrix weights;
    layer_data data = read_layer(in, gram, l, weights);
    const pruning done = machine.prune(data, nm, structure.rule, s);
    from_floats(data.weights, weights);
    out.write(l.weights.offset, weights.data.data(), weights.data.size());
    print(data, nm, structure.name, done, s, machine.device());
  }
  out.commit();
}

void run(const settings& s) {
  for (const tsenor::pattern nm : s.patterns)
    for (const named_structure& structure : s.structures) refuse_inputs_as_output(s, output_path(s, nm, structure));
  input_file in(s.in);
  std::optional<input_file> gram;
  if (s.gram) gram.emplace(*s.gram);
  const layer_plan plan = find_layers(in, gram ? &*gram : nullptr, s);
  const std::unique_ptr<pruner> machine = make_pruner(s);
  print_head(s);
  for (const tsenor::pattern nm : s.patterns)
    for (const named_structure& structure : s.structures)
      prune_checkpoint(in, gram ? &*gram : nullptr, plan, *machine, nm, structure, s);
  for (const std::string& line : plan.skipped) std::fprintf(s.json ? stderr : stdout, "%s\n", line.c_str());
  if (std::fflush(stdout) != 0)
    throw failure(exit_code::input, "cannot write the result to the standard output; check where it goes");
}

}  // namespace
}  // namespace tool

int main(int argc, char** argv) {
  return tool::exit_status_of("tsenor_prune", [&] {
    if (const auto settings = tool::parse_command_line(argc, argv)) tool::run(*settings);
  });
}
