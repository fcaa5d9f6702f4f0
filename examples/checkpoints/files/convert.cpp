#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "command_line.hpp"
#include "tsenor/weight_types.hpp"

namespace tool {
namespace {

using grams = std::map<std::string, tensor_entry>;

grams read_grams(input_file* file) {
  grams result;
  if (file == nullptr) return result;
  for (tensor_entry& entry : read_header(*file, file_kind::safetensors)) result.emplace(entry.name, entry);
  return result;
}

// Why the tensor cannot be pruned and what to do about it; empty if it can.
std::string objection(const tensor_entry& t, const grams& known, const settings& s) {
  if (t.shape.size() != 2) return "is " + shape_text(t.shape) + "; only 2-D tensors can be pruned";
  if (!t.type) return "holds " + in_quotes(t.dtype) + "; only F16, BF16 and F32 can be pruned, convert it";
  if (t.shape[0] == 0 || t.shape[1] == 0) return "is empty; there is nothing to prune";
  for (const tsenor::pattern p : s.patterns) {
    const auto m = static_cast<std::uint64_t>(p.m);
    if (t.shape[0] % m != 0 || t.shape[1] % m != 0)
      return "has a side that is no multiple of " + std::to_string(p.m) + " (" + shape_text(t.shape) +
             "); choose another pattern";
  }
  const auto gram = known.find(t.name);
  if (gram == known.end()) return s.gram ? "has no gram matrix; add one to the file of --gram" : "";
  const tensor_entry& g = gram->second;
  if (g.dtype != "F32" || g.shape != std::vector<std::uint64_t>{t.shape[1], t.shape[1]})
    return "has a gram matrix that is not F32 of " + shape_text({t.shape[1], t.shape[1]}) + "; make it anew";
  return "";
}

void round_to(float x, float& to) { to = x; }
void round_to(float x, double& to) { to = x; }
// To nearest, ties to even; the carry of a full significand goes into the exponent, up to infinity.
void round_to(float x, tsenor::bfloat16& to) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  to.bits = static_cast<std::uint16_t>(std::isnan(x) ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
void round_to(float x, tsenor::float16& to) {
  const float size = std::fabs(x);
  std::uint32_t bits, half;
  std::memcpy(&bits, &size, sizeof bits);
  if (size < std::ldexp(1.f, -14)) {  // subnormal: multiples of 2^-24, which 0.5 rounds a sum to
    const float sum = size + 0.5f;
    std::memcpy(&half, &sum, sizeof half);
    half -= 0x3f000000u;
  } else {
    half = std::isnan(x) ? 0x7e00u : std::min(0x7c00u, ((bits + 0xfffu + (bits >> 13 & 1u)) >> 13) - (112u << 10));
  }
  to.bits = static_cast<std::uint16_t>(half | (std::signbit(x) ? 0x8000u : 0u));
}

}  // namespace

layer_plan find_layers(input_file& in, input_file* gram, const settings& s) {
  const grams known = read_grams(gram);
  std::optional<name_filter> select;
  if (s.select) select.emplace(*s.select);
  layer_plan plan;
  for (const tensor_entry& t : read_header(in, file_kind::safetensors)) {
    if (select && !select->matches(t.name)) continue;
    const std::string reason = objection(t, known, s);
    if (!reason.empty() && select) throw in.problem("has a tensor, " + in_quotes(t.name) + ", that " + reason);
    if (!reason.empty()) {
      if (t.shape.size() == 2) plan.skipped.push_back("skipped " + in_quotes(t.name) + ": it " + reason);
      continue;
    }
    const auto g = known.find(t.name);
    plan.layers.push_back({t, g == known.end() ? std::nullopt : std::optional(g->second)});
  }
  if (plan.layers.empty())
    throw in.problem("has no tensor to prune; check --select and the names in the file of --gram");
  return plan;
}

void from_floats(const std::vector<float>& values, matrix& m) {
  visit_weights(m, [&](auto* weights) {
    for (std::size_t k = 0; k < values.size(); ++k) round_to(values[k], weights[k]);
  });
}

}  // namespace tool
