// tsenor_mask: transposable N:M masks of the weight matrices in a file.
#include <iostream>

#include "atomic_file.hpp"
#include "failure.hpp"
#include "npy.hpp"
#include "picture.hpp"
#include "plan.hpp"
#include "report.hpp"
#include "settings.hpp"
#include "solver.hpp"
#include "tensor_file.hpp"
#include "tsenor/apply_mask.hpp"

namespace tool {
namespace {

void refuse_same_file(const settings& s) {
  std::error_code error;
  if (s.out && std::filesystem::equivalent(s.in, *s.out, error))
    throw failure(exit_code::usage,
                  "the output " + in_quotes(s.out->string()) + " is the same file as IN; choose another");
}

std::unique_ptr<solver> make_solver(device_choice choice) {
  if (choice == device_choice::cpu) return make_cpu_solver();
  std::string why_not;
  if (auto cuda = make_cuda_solver(why_not)) return cuda;
  if (choice == device_choice::cuda) throw failure(exit_code::device, "--device cuda: " + why_not);
  return make_cpu_solver();
}

void write_pruned(atomic_file& out, const tensor_entry& tensor, matrix& m, const solution& found, int threads) {
  const tsenor::matrix_view<const std::uint8_t> mask(found.mask.data(), m.rows, m.cols);
  visit_weights(m, [&](auto* weights) {
    const tsenor::matrix_view view(weights, m.rows, m.cols);
    require(tsenor::apply_mask(tsenor::cpu_executor{threads}, view, mask, view));
  });
  out.write(tensor.offset, m.data.data(), m.data.size());
}

void write_mask(atomic_file& out, const matrix& m, const solution& found) {
  const std::string header = npy_mask_header(m.rows, m.cols);
  out.write(0, header.data(), header.size());
  out.write(header.size(), found.mask.data(), found.mask.size());
}

void write_picture(atomic_file& out, matrix& m, const task& t, const solution& found, const settings& s) {
  const std::string svg = svg_of(make_picture(m, t, found, s), t, s);
  out.write(0, svg.data(), svg.size());
}

void write_output(atomic_file& out, matrix& m, const task& t, const solution& found, const settings& s) {
  if (s.picture)
    write_picture(out, m, t, found, s);
  else if (s.kind == file_kind::npy)
    write_mask(out, m, found);
  else
    write_pruned(out, t.tensor, m, found, s.threads);
}

std::vector<result> solve_all(input_file& in, const plan& work, solver& machine, atomic_file* out, const settings& s) {
  std::vector<result> results;
  progress_bar progress(work.tasks.size());
  for (const task& t : work.tasks) {
    matrix m = read_matrix(in, t.tensor);
    const solution found = machine.solve(m, t, s);
    results.push_back(make_result(t, found, total_importance(m, s.importance)));
    if (out) write_output(*out, m, t, found, s);
    progress.advance();
  }
  return results;
}

void print(const std::vector<result>& results, const plan& work, const settings& s, const char* device) {
  if (s.json) {
    print_json(std::cout, results, s, device);
    print_skipped(std::cerr, work.skipped);
  } else {
    print_table(std::cout, results, s, device);
    print_skipped(std::cout, work.skipped);
  }
  if (!std::cout.flush())
    throw failure(exit_code::input, "cannot write the result to the standard output; check where it goes");
}

void run(const settings& s) {
  input_file in(s.in);
  refuse_same_file(s);
  const plan work = make_plan(in, read_header(in, s.kind), s);
  if (s.picture) check_picture(work, s);
  const std::unique_ptr<solver> machine = make_solver(s.device);
  std::optional<atomic_file> out;
  if (s.out) out.emplace(*s.out);
  if (out && !s.picture && s.kind == file_kind::safetensors) copy_all(in, *out);
  const std::vector<result> results = solve_all(in, work, *machine, out ? &*out : nullptr, s);
  if (out) out->commit();
  print(results, work, s, machine->device());
}

}  // namespace
}  // namespace tool

int main(int argc, char** argv) {
  return tool::exit_status_of("tsenor_mask", [&] {
    if (const auto settings = tool::parse_command_line(argc, argv)) tool::run(*settings);
  });
}
