// tsenor inspect: what a checkpoint holds, what fits which pattern, and what masks would keep.
#include "picture.hpp"
#include "print.hpp"
#include "rewrite.hpp"
#include "search.hpp"

namespace tool {
namespace {

constexpr int widths[] = {4, 8, 16, 32, 64};

// The usual M that divide both sides.
std::vector<int> fitting_widths(const tensor_entry& t) {
  std::vector<int> fitting;
  if (t.shape.size() != 2 && t.shape.size() != 3) return fitting;
  for (const int m : widths)
    if (t.rows() > 0 && t.cols() > 0 && t.rows() % m == 0 && t.cols() % m == 0) fitting.push_back(m);
  return fitting;
}

// Without a pattern: every tensor, what M its sides are multiples of, and what becomes of it.
exit_code list_tensors(const checkpoint& in, const settings& s) {
  constexpr tsenor::pattern any{1, 4};
  const selection chosen = sort_tensors(in.tensors(), rule_for(in, {{"*", any}}, tsenor::edge::partial, s));
  std::vector<table_row> rows = {{"tensor", "type", "shape", "whole tiles of M ="}};
  for (const selected_tensor& t : chosen.chosen) {
    const std::vector<int> fitting = fitting_widths(t.tensor);
    std::string text;
    for (const int m : fitting) text += (text.empty() ? "" : ",") + std::to_string(m);
    rows.push_back({escaped(t.tensor.name), t.tensor.dtype, shape_text(t.tensor.shape), text.empty() ? "-" : text});
    if (s.json)
      print_line({{"name", t.tensor.name}, {"dtype", t.tensor.dtype}, {"shape", t.tensor.shape}, {"fits", fitting}});
  }
  if (!s.json) print_aligned(rows);
  print_rest(chosen, in, s.json);
  flush_output();
  return exit_code::success;
}

exit_code compare(const checkpoint& in, const settings& s) {
  std::vector<selection> chosen;  // of each set of rules; one that fits nothing is a mistake
  selection rest;
  std::uint64_t weights = 0;
  for (const pattern_rules& patterns : s.patterns) {
    const selection_rule rule = rule_for(in, patterns, s.methods.front().edge, s);
    chosen.push_back(select_tensors(in.path().string(), in.tensors(), rule));
    add_rest(rest, chosen.back());
    weights += weights_of(chosen.back().chosen) * s.methods.size();
  }
  const std::unique_ptr<solver> machine = make_solver(s.device);
  std::vector<result> results;
  {
    progress_bar progress(weights);
    for (const selection& one : chosen)
      for (const selected_tensor& t : one.chosen)
        for (const tsenor::options& options : s.methods)
          results.push_back(search_tensor(in, t, options, *machine, s, progress, nullptr));
  }
  print(results, s, machine->device());
  print_rest(rest, in, s.json);
  flush_output();
  return exit_code::success;
}

exit_code draw(const checkpoint& in, const settings& s) {
  refuse_overlap(in, s.out);
  const selection chosen =
      select_tensors(in.path().string(), in.tensors(), rule_for(in, s.patterns.front(), s.methods.front().edge, s));
  if (chosen.chosen.size() != 1)
    throw failure(exit_code::usage, "--svg draws one matrix, but " + std::to_string(chosen.chosen.size()) +
                                        " fit the pattern; name one with --select");
  const std::unique_ptr<solver> machine = make_solver(s.device);
  const std::string svg = draw_tile(in, chosen.chosen.front(), *machine, s);
  staged_output out(s.out, staged_output::shape::file);
  out.write(0, svg.data(), svg.size());
  out.commit();
  return exit_code::success;
}

}  // namespace

exit_code inspect(const settings& s) {
  const checkpoint in(s.in);
  if (s.picture) return draw(in, s);
  return s.patterns.empty() ? list_tensors(in, s) : compare(in, s);
}

}  // namespace tool
