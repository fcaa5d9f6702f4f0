#include "layers.hpp"

#include <cmath>

#include "convert.hpp"
#include "rewrite.hpp"

namespace tool {
namespace {

// The shape that the gram matrix of a layer with so many inputs has; one for each matrix of a batch.
std::vector<std::uint64_t> gram_shape(const tensor_entry& t, std::int64_t inputs) {
  const auto side = static_cast<std::uint64_t>(inputs);
  return t.shape.size() == 3 ? std::vector<std::uint64_t>{t.shape[0], side, side} : std::vector{side, side};
}

bool updates_weights(const settings& s) {
  return s.method == pruning_method::sparsegpt || s.method == pruning_method::alps;
}

}  // namespace

layer_source::layer_source(const checkpoint& in, const settings& s) : in_(in), settings_(s) {
  if (s.gram) grams_.emplace(*s.gram);
}

bool layer_source::is_transposed(const tensor_entry& t) const {
  return settings_.transposed && settings_.transposed->matches(t.name);
}

std::string layer_source::objection(const tensor_entry& t, std::vector<std::string>& on_the_other_side) const {
  if (updates_weights(settings_) && (t.bits == 8 || t.bits == 64))
    return "of " + in_quotes(t.dtype) + ", which --method " + name_of(settings_.method) +
           " cannot update; convert it to BF16 or F32";
  if (!grams_) return "";
  const tensor_entry* const gram = grams_->find(t.name);
  if (gram == nullptr) return "no gram matrix in the file of --gram";
  const auto inputs = is_transposed(t) ? t.rows() : t.cols(), others = is_transposed(t) ? t.cols() : t.rows();
  const auto wanted = gram_shape(t, inputs);
  if (gram->type == weight_type::f32 && gram->shape == wanted) return "";
  if (gram->type == weight_type::f32 && gram->shape == gram_shape(t, others))
    on_the_other_side.push_back(in_quotes(t.name) + " (" + shape_text(t.shape) + ", gram " + shape_text(gram->shape) +
                                ")");
  return "its gram matrix is " + gram->dtype + " of " + shape_text(gram->shape) + ", but has to be F32 of " +
         shape_text(wanted) + "; compute it again";
}

selection layer_source::select(const pattern_rules& patterns, tsenor::edge edge, const settings& s) const {
  std::vector<std::string> on_the_other_side;
  selection_rule rule = rule_for(in_, patterns, edge, s);
  rule.objection = [&](const tensor_entry& t) { return objection(t, on_the_other_side); };
  std::optional<selection> chosen;
  std::optional<failure> nothing;
  try {
    chosen = select_tensors(in_.path().string(), in_.tensors(), rule);
  } catch (const failure& f) {
    nothing = f;
  }
  if (on_the_other_side.empty()) return chosen ? *chosen : throw *nothing;
  std::string names;
  for (const std::string& name : on_the_other_side) names += (names.empty() ? "" : ", ") + name;
  throw failure(exit_code::input,
                "gram matrices fit the other side of the weights: " + names +
                    "; name the tensors that are stored [inputs, outputs], square ones too, with --transposed REGEX" +
                    (s.transposed ? ", and no others" : ""));
}

layer layer_source::read(const tensor_entry& t, const block& part, std::size_t index) const {
  layer l;
  l.stored = read_matrix(in_.file_of(t), t, part);
  l.transposed = is_transposed(t);
  l.data.name = t.name + "[" + std::to_string(index) + "]";
  l.data.rows = l.transposed ? part.cols : part.rows;
  l.data.cols = l.transposed ? part.rows : part.cols;
  l.data.weights = to_floats(l.stored).values;
  if (l.transposed) l.data.weights = transpose(l.data.weights, part.rows, part.cols);
  if (!grams_) return l;
  const tensor_entry& gram = *grams_->find(t.name);
  l.data.gram = to_floats(read_matrix(grams_->file_of(gram), gram, matrices_of(gram).at(index))).values;
  for (std::int64_t j = 0; j < l.data.cols; ++j) {
    const float square = l.data.gram[static_cast<std::size_t>(j * (l.data.cols + 1))];
    l.no_squares += !std::isfinite(square) || square < 0;
  }
  return l;
}

void layer_source::refuse_overlap_with_grams(const std::filesystem::path& out) const {
  if (grams_) refuse_overlap(*grams_, out);
}

}  // namespace tool
