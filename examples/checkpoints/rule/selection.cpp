#include "selection.hpp"

#include <algorithm>
#include <optional>
#include <regex>
#include <utility>

#include "failure.hpp"

namespace tool {
namespace {

// Why the tensor cannot be pruned, whoever asks for it; empty if it can.
std::string misfit(const tensor_entry& t, tsenor::pattern pattern, const selection_rule& rule) {
  const auto& shape = t.shape;
  if (shape.size() < 2) return shape.empty() ? "a scalar" : "1-D";
  if (shape.size() > 3)
    return std::to_string(shape.size()) + "-D; only matrices and batches of them can be pruned, reshape it";
  if (!t.type && rule.masks.count(t.dtype) == 0)
    return "of " + in_quotes(t.dtype) + ", which is not a floating-point type of weights";
  for (const std::uint64_t side : shape)
    if (side == 0) return "empty (" + shape_text(shape) + ")";
  const auto m = static_cast<std::uint64_t>(pattern.m);
  const std::uint64_t rows = shape[shape.size() - 2], cols = shape.back();
  if (rule.edge == tsenor::edge::reject && (rows % m != 0 || cols % m != 0))
    return "has a side that is no multiple of " + std::to_string(m) + " (" + shape_text(shape) +
           "); use --edge partial, or another M";
  return "";
}

// Why the tensor is not meant; empty if it is.
std::string not_meant(const tensor_entry& t, const selection_rule& rule, const dense_rule& dense) {
  if (rule.one_matrix) return "";
  if (rule.select != nullptr) return rule.select->matches(t.name) ? "" : "--select does not match the name";
  if (const auto remark = rule.remarks->find(t.name); remark != rule.remarks->end())
    return remark->second + " (--select overrides)";
  if (const auto what = dense(t)) return *what + " (--select overrides)";
  return "";
}

// What is pruned only because the user named it.
std::string note_on(const tensor_entry& t, const selection_rule& rule, const dense_rule& dense) {
  if (rule.select == nullptr) return "";
  if (const auto remark = rule.remarks->find(t.name); remark != rule.remarks->end())
    return in_quotes(t.name) + " is " + remark->second + ", but taken because --select matches it";
  const auto what = dense(t);
  return what ? in_quotes(t.name) + " is " + *what + ", but taken because --select matches it" : "";
}

std::string reason_against(const tensor_entry& t, const pattern_rule* fitting, const selection_rule& rule,
                           const dense_rule& dense) {
  const std::string other = not_meant(t, rule, dense);
  const std::string shape = t.shape.size() < 2 ? misfit(t, {}, rule) : "";  // 1-D says more than "a norm"
  if (!other.empty() && (rule.select != nullptr || shape.empty())) return other;
  if (!shape.empty()) return shape;
  if (fitting == nullptr) return "no --pattern matches the name";
  const std::string fit = misfit(t, fitting->pattern, rule);
  return fit.empty() ? rule.objection(t) : fit;
}

// Where --transposed seems to be missing. Others than GPT-2 use the names too, so it is no error.
std::optional<std::string> note_on_stored_order(const selection& result) {
  static const std::regex of_gpt2(R"((^|.*\.)(c_attn|q_attn|c_proj|c_fc)\.weight)");
  std::string first;
  std::size_t count = 0;
  for (const selected_tensor& t : result.chosen)
    if (std::regex_match(t.tensor.name, of_gpt2) && ++count == 1) first = in_quotes(t.tensor.name);
  if (count == 0) return std::nullopt;
  return first + (count > 1 ? " and " + std::to_string(count - 1) + " more" : "") +
         " have names of layers that GPT-2 stores [inputs, outputs]; they are read as [outputs, inputs], unless "
         "--transposed names them";
}

// Options that name nothing, which are slips of the keyboard, or that are missing.
std::vector<std::string> notes_on_options(const std::vector<tensor_entry>& tensors, const selection& result,
                                          const selection_rule& rule) {
  std::vector<std::string> notes;
  std::set<const pattern_rule*> used;
  for (const tensor_entry& t : tensors) used.insert(rule_for_name(rule.patterns, t.name));
  for (const pattern_rule& r : rule.patterns)
    if (r.glob != "*" && used.count(&r) == 0)
      notes.push_back("--pattern " + in_quotes(r.glob + "=" + text_of(r.pattern)) +
                      " applies to no tensor: no name matches it first");
  const auto is_transposed = [&](const selected_tensor& t) { return rule.transposed->matches(t.tensor.name); };
  if (rule.transposed && std::none_of(result.chosen.begin(), result.chosen.end(), is_transposed))
    notes.push_back("--transposed matches none of the selected tensors");
  if (rule.sided && !rule.transposed)
    if (const auto note = note_on_stored_order(result)) notes.push_back(*note);
  return notes;
}

}  // namespace

selection sort_tensors(const std::vector<tensor_entry>& tensors, const selection_rule& rule) {
  const dense_rule dense(tensors);
  selection result;
  for (const tensor_entry& t : tensors) {
    const pattern_rule* const fitting = rule_for_name(rule.patterns, t.name);
    const std::string reason = reason_against(t, fitting, rule, dense);
    if (!reason.empty()) {
      result.dense.push_back({t, reason});
      continue;
    }
    result.chosen.push_back({t, fitting->pattern});
    if (const std::string note = note_on(t, rule, dense); !note.empty()) result.notes.push_back(note);
  }
  for (const std::string& note : notes_on_options(tensors, result, rule)) result.notes.push_back(note);
  return result;
}

selection select_tensors(const std::string& file, const std::vector<tensor_entry>& tensors,
                         const selection_rule& rule) {
  const selection result = sort_tensors(tensors, rule);
  if (!result.chosen.empty()) return result;
  std::string reasons;
  for (const std::string& line : grouped(result.dense)) reasons += (reasons.empty() ? ": " : "; ") + line;
  throw failure(exit_code::input,
                in_quotes(file) + " has nothing to prune" + (reasons.empty() ? "; it holds no tensor" : reasons));
}

void add_rest(selection& all, const selection& one) {
  std::set<std::pair<std::string, std::string>> known;
  for (const dense_tensor& d : all.dense) known.emplace(d.tensor.name, d.reason);
  for (const dense_tensor& d : one.dense)
    if (known.emplace(d.tensor.name, d.reason).second) all.dense.push_back(d);
  for (const std::string& note : one.notes)
    if (std::find(all.notes.begin(), all.notes.end(), note) == all.notes.end()) all.notes.push_back(note);
}

std::vector<std::string> grouped(const std::vector<dense_tensor>& dense) {
  constexpr std::size_t shown = 3;
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> names;
  for (const dense_tensor& d : dense) {
    auto& group = names[d.reason];
    if (group.empty()) order.push_back(d.reason);
    group.push_back(in_quotes(d.tensor.name));
  }
  std::vector<std::string> lines;
  for (const std::string& reason : order) {
    const auto& group = names[reason];
    std::string line = reason + ": ";
    for (std::size_t k = 0; k < group.size() && k < shown; ++k) line += (k > 0 ? ", " : "") + group[k];
    if (group.size() > shown) line += " and " + std::to_string(group.size() - shown) + " more";
    lines.push_back(line);
  }
  return lines;
}

}  // namespace tool
