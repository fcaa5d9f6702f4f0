// tsenor check: whether the zeros of a file make the pattern.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "commands.hpp"
#include "convert.hpp"
#include "print.hpp"
#include "progress.hpp"
#include "tsenor/check_mask.hpp"

namespace tool {
namespace {

struct verdict {
  selected_tensor of;
  std::int64_t zeros = 0, not_finite = 0;
  std::int64_t rows = 0, cols = 0;             // of tiles that break the pattern
  std::optional<std::uint64_t> first_element;  // of the first tile that does
};

using mask_view = tsenor::matrix_view<const std::uint8_t>;

// Rows and columns that the structure asks about: by rows alone, along the inputs of the layer.
tsenor::mask_violations violations_in(const mask_view& kept, const tensor_entry& t, tsenor::pattern p,
                                      const settings& s) {
  tsenor::mask_violations found{};
  const tsenor::options& asked = s.structures.front().rule.search;
  require(tsenor::check_mask(tsenor::cpu_executor{s.threads}, p, kept, &found, asked.constraint, asked.edge));
  if (s.structures.front().rule.structure == tsenor::prune::structure::row_wise)
    (s.transposed && s.transposed->matches(t.name) ? found.rows : found.cols) = 0;
  return found;
}

// The first element of the first tile that breaks the pattern, counted from the beginning of the block.
std::uint64_t first_broken(const mask_view& kept, const tensor_entry& t, tsenor::pattern p, const settings& s) {
  for (std::int64_t i = 0; i < kept.rows; i += p.m)
    for (std::int64_t j = 0; j < kept.cols; j += p.m) {
      const mask_view tile(kept.data + i * kept.row_stride + j, std::min<std::int64_t>(p.m, kept.rows - i),
                           std::min<std::int64_t>(p.m, kept.cols - j), kept.row_stride);
      const tsenor::mask_violations found = violations_in(tile, t, p, s);
      if (found.rows + found.cols > 0) return static_cast<std::uint64_t>(i * kept.cols + j);
    }
  return 0;
}

std::int64_t count_not_finite(const tensor_entry& t, const block& part, std::vector<std::byte> data) {
  if (!t.type) return 0;
  return visit_weights(matrix{*t.type, part.rows, part.cols, std::move(data)}, [&](const auto* w) {
    return static_cast<std::int64_t>(
        std::count_if(w, w + part.size(), [](auto x) { return !std::isfinite(tsenor::detail::to_arithmetic(x)); }));
  });
}

verdict judge(const checkpoint& in, const selected_tensor& t, const settings& s, progress_bar& progress) {
  verdict v{t, 0, 0, 0, 0, std::nullopt};
  const input_file& file = in.file_of(t.tensor);
  for (const block& part : blocks_of(t.tensor, t.pattern.m)) {
    std::vector<std::byte> data = read_bytes(file, t.tensor, part);
    const std::vector<std::uint8_t> kept = nonzeros(data, t.tensor);
    const mask_view view(kept.data(), part.rows, part.cols);
    const tsenor::mask_violations found = violations_in(view, t.tensor, t.pattern, s);
    if (found.rows + found.cols > 0 && !v.first_element)
      v.first_element = part.offset + first_broken(view, t.tensor, t.pattern, s);
    v.rows += found.rows;
    v.cols += found.cols;
    v.zeros += std::count(kept.begin(), kept.end(), 0);
    v.not_finite += count_not_finite(t.tensor, part, std::move(data));
    progress.advance(part.size(), t.tensor.name);
  }
  return v;
}

// "[3, 16, 0]": the indices of an element.
std::vector<std::uint64_t> indices_of(std::uint64_t element, const std::vector<std::uint64_t>& shape) {
  std::vector<std::uint64_t> indices(shape.size());
  for (std::size_t k = shape.size(); k-- > 0; element /= shape[k]) indices[k] = element % shape[k];
  return indices;
}

double zero_share(const verdict& v) {
  return static_cast<double>(v.zeros) / static_cast<double>(checked_product(v.of.tensor.shape, 1).value_or(1));
}

void print_json(const verdict& v, const settings& s) {
  const tensor_entry& t = v.of.tensor;
  nlohmann::ordered_json object = {{"name", t.name},
                                   {"dtype", t.dtype},
                                   {"shape", t.shape},
                                   {"pattern", text_of(v.of.pattern)},
                                   {"structure", s.structures.front().name},
                                   {"zeros", zero_share(v)},
                                   {"violations", v.rows + v.cols},
                                   {"broken_rows", v.rows},
                                   {"broken_cols", v.cols},
                                   {"not_finite", v.not_finite}};
  object["first"] = v.first_element ? nlohmann::ordered_json(indices_of(*v.first_element, t.shape)) : nullptr;
  print_line(object);
}

void print_table(const std::vector<verdict>& verdicts) {
  std::vector<table_row> rows = {
      {"matrix", "shape", "pattern", "zeros %", "NaN or infinite", "violations", "first tile that breaks it"}};
  for (const verdict& v : verdicts) {
    std::string first = "-";
    if (v.first_element) first = nlohmann::json(indices_of(*v.first_element, v.of.tensor.shape)).dump();
    rows.push_back({escaped(v.of.tensor.name), shape_text(v.of.tensor.shape), text_of(v.of.pattern),
                    fixed(100 * zero_share(v), 3), std::to_string(v.not_finite), std::to_string(v.rows + v.cols),
                    first});
  }
  print_aligned(rows);
}

// Bytes may be anything, unless the file holds nothing else or somebody names them.
std::set<std::string> mask_types(const checkpoint& in, const settings& s) {
  std::set<std::string> types = {"BOOL", "|b1", "|u1"};
  const auto& tensors = in.tensors();
  if (s.select || std::all_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.is_mask(); }))
    types.insert("U8");
  return types;
}

}  // namespace

exit_code check(const settings& s) {
  const checkpoint in(s.in);
  selection_rule rule = rule_for(in, s.patterns.front(), s.structures.front().rule.search.edge, s);
  rule.masks = mask_types(in, s);
  const selection chosen = select_tensors(in.path().string(), in.tensors(), rule);
  std::vector<verdict> verdicts;
  {
    progress_bar progress(weights_of(chosen.chosen));
    for (const selected_tensor& t : chosen.chosen) verdicts.push_back(judge(in, t, s, progress));
  }
  const auto broken =
      std::count_if(verdicts.begin(), verdicts.end(), [](const auto& v) { return v.rows + v.cols > 0; });
  if (s.json)
    for (const verdict& v : verdicts) print_json(v, s);
  else
    print_table(verdicts);
  print_rest(chosen, in, s.json);
  if (!s.json) std::cout << '\n' << broken << " of " << verdicts.size() << " tensors break their pattern\n";
  flush_output();
  return broken > 0 ? exit_code::violations : exit_code::success;
}

}  // namespace tool
