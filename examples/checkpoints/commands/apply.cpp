// tsenor apply: a checkpoint with masks that were found before.
#include <algorithm>
#include <iostream>

#include "commands.hpp"
#include "convert.hpp"
#include "print.hpp"
#include "progress.hpp"
#include "rewrite.hpp"

namespace tool {
namespace {

// What is wrong with a mask, or nothing. `weights` is the tensor of its name.
std::string objection(const tensor_entry& mask, const tensor_entry* weights) {
  const std::string name = in_quotes(mask.name);
  if (weights == nullptr) return name + " is not a tensor of IN";
  if (!mask.is_mask()) return name + " has the type " + in_quotes(mask.dtype) + ", but masks have BOOL or U8";
  if (mask.shape != weights->shape)
    return name + " has the shape " + shape_text(mask.shape) + ", but the weights have " + shape_text(weights->shape);
  if (weights->bits < 8 || mask.shape.size() < 2 || mask.shape.size() > 3)
    return name + " is for weights of " + in_quotes(weights->dtype) + ", " + shape_text(weights->shape) +
           ", which cannot be pruned";
  return "";
}

selection match(const checkpoint& in, const checkpoint& masks) {
  std::string problems;
  selection result;
  for (const tensor_entry& mask : masks.tensors()) {
    const tensor_entry* const weights = in.find(mask.name);
    const std::string problem = objection(mask, weights);
    if (!problem.empty()) problems += (problems.empty() ? "" : "; ") + problem;
    if (problem.empty()) result.chosen.push_back({*weights, {}});
  }
  if (!problems.empty() || result.chosen.empty())
    throw failure(exit_code::input, in_quotes(masks.path().string()) + " does not fit " +
                                        in_quotes(in.path().string()) + ": " +
                                        (problems.empty() ? "it holds no mask" : problems));
  for (const tensor_entry& t : in.tensors())
    if (std::none_of(result.chosen.begin(), result.chosen.end(),
                     [&](const auto& c) { return c.tensor.name == t.name; }))
      result.dense.push_back({t, "there is no mask for it"});
  return result;
}

std::vector<std::uint8_t> read_mask(const input_file& file, const tensor_entry& mask, const block& part) {
  std::vector<std::uint8_t> values(part.size());
  file.read(mask.offset + part.offset, values.data(), values.size());
  if (const auto other = std::find_if(values.begin(), values.end(), [](auto v) { return v > 1; });
      other != values.end())
    throw file.problem("has the value " + std::to_string(*other) + " in the mask " + in_quotes(mask.name) +
                       "; masks have only 0 and 1");
  return values;
}

void print_kept(const std::vector<std::pair<tensor_entry, double>>& kept, bool json) {
  std::vector<table_row> rows = {{"matrix", "type", "shape", "weights kept %"}};
  for (const auto& [t, share] : kept) {
    rows.push_back({escaped(t.name), t.dtype, shape_text(t.shape), fixed(100 * share, 3)});
    if (json) print_line({{"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}, {"kept", share}});
  }
  if (!json) print_aligned(rows);
}

}  // namespace

exit_code apply(const settings& s) {
  const checkpoint in(s.in), masks(s.masks);
  refuse_overlap(in, s.out);
  refuse_overlap(masks, s.out);
  const selection chosen = match(in, masks);
  std::vector<const tensor_entry*> changed;
  for (const selected_tensor& t : chosen.chosen) changed.push_back(&t.tensor);
  std::vector<std::pair<tensor_entry, double>> kept;
  {
    progress_bar progress(weights_of(chosen.chosen));
    rewrite(in, s.out, changed, [&](const tensor_entry& t, const tensor_writer& write) {
      const tensor_entry& mask = *masks.find(t.name);
      std::int64_t ones = 0;
      for (const block& part : blocks_of(t, 1)) {
        std::vector<std::byte> data = read_bytes(in.file_of(t), t, part);
        const std::vector<std::uint8_t> values = read_mask(masks.file_of(mask), mask, part);
        apply_bytes(data, values, s.threads);
        write(part.offset * (t.bits / 8), data);
        ones += std::count(values.begin(), values.end(), 1);
        progress.advance(part.size(), t.name);
      }
      const double weights = static_cast<double>(checked_product(t.shape, 1).value_or(0));
      kept.emplace_back(t, weights > 0 ? static_cast<double>(ones) / weights : 1);
    });
  }
  print_kept(kept, s.json);
  print_rest(chosen, in, s.json);
  flush_output();
  return exit_code::success;
}

}  // namespace tool
