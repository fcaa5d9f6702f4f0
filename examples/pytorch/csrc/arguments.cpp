#include "arguments.hpp"

#include <ATen/MemoryOverlap.h>
#include <torch/library.h>

#include "tsenor/pattern.hpp"

namespace tsenor_torch {
namespace {

template <class Enum>
Enum one_of(const std::string& word, const char* name, const char* first, Enum first_value, const char* second,
            Enum second_value) {
  if (word == first) return first_value;
  TORCH_CHECK_VALUE(word == second, "tsenor: ", name, " must be '", first, "' or '", second, "', not '", word, "'");
  return second_value;
}

void check_float(const Tensor& t, const char* name) {
  const at::ScalarType type = t.scalar_type();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kHalf || type == at::kBFloat16 || type == at::kDouble,
                   "tsenor: ", name, " must be float16, bfloat16, float32 or float64, not ", type);
}

void check_shape(const Tensor& t, const char* name, const Tensor& weight) {
  TORCH_CHECK_VALUE(t.sym_sizes() == weight.sym_sizes(), "tsenor: ", name, " must have the weight's shape ",
                    weight.sym_sizes(), ", not ", t.sym_sizes());
}

void check_mask_out(const Tensor& mask, const Tensor& weight) {
  check_device(mask, "mask", weight);
  check_shape(mask, "mask", weight);
  TORCH_CHECK_TYPE(mask.scalar_type() == at::kBool || mask.scalar_type() == at::kByte,
                   "tsenor: mask must be bool or uint8, not ", mask.scalar_type());
  at::assert_no_internal_overlap(mask);
}

void check_prices(const Tensor& prices, const Tensor& weight, std::int64_t m) {
  check_device(prices, "prices", weight);
  const c10::SymInt tiles = tiles_of(weight, m);
  TORCH_CHECK_TYPE(prices.scalar_type() == at::kFloat, "tsenor: prices must be float32, not ", prices.scalar_type());
  TORCH_CHECK_VALUE(
      prices.dim() == 3 && prices.sym_size(0) == tiles && prices.sym_size(1) == 2 && prices.sym_size(2) == m,
      "tsenor: prices must have the shape [tiles, 2, m] = [", tiles, ", 2, ", m, "], not ", prices.sym_sizes());
  at::assert_no_internal_overlap(prices);
}

}  // namespace

void check_device(const Tensor& t, const char* name, const Tensor& weight) {
  TORCH_CHECK(t.device() == weight.device(), "tsenor: Expected all tensors to be on the same device, but weight is on ",
              weight.device(), " and ", name, " on ", t.device());
}

tsenor::options options_of(const asked& a) {
  using tsenor::options, tsenor::constraint, tsenor::edge;
  options o = one_of(a.method, "method", "optimal", options::optimal(), "published", options::published());
  o.constraint = one_of(a.constraint, "constraint", "exactly", constraint::exactly, "at_most", constraint::at_most);
  o.edge = one_of(a.edge, "edge", "reject", edge::reject, "partial", edge::partial);
  return o;
}

c10::SymInt tiles_of(const Tensor& weight, std::int64_t m) {
  c10::SymInt tiles = 1;
  for (std::int64_t k = 0; k < weight.dim(); ++k)
    tiles = tiles * (k < weight.dim() - 2 ? weight.sym_size(k) : (weight.sym_size(k) + (m - 1)) / m);
  return tiles;
}

void check_pattern(const Tensor& matrices, const asked& a, const char* name) {
  const tsenor::options o = options_of(a);
  TORCH_CHECK_VALUE(a.m >= tsenor::min_tile && a.m <= tsenor::max_tile && a.n >= 1 && a.n <= a.m,
                    "tsenor: unsupported pattern ", a.n, ":", a.m, ": choose 1 <= n <= m and 2 <= m <= 64");
  TORCH_CHECK_VALUE(matrices.dim() >= 2, "tsenor: ", name, " must be [..., rows, cols], not ", matrices.sym_sizes());
  if (o.edge == tsenor::edge::partial) return;
  TORCH_CHECK_VALUE(matrices.sym_size(-2) % a.m == 0 && matrices.sym_size(-1) % a.m == 0, "tsenor: rows and cols of ",
                    name, " ", matrices.sym_sizes(), " must be multiples of M = ", a.m,
                    ": pad the matrix, or use edge='partial'");
}

void check_arguments(const tensors& t, const asked& a, bool warm) {
  check_pattern(t.weight, a);
  check_float(t.weight, "weight");
  TORCH_CHECK_VALUE(!t.importance || !t.column_norms, "tsenor: give importance or column_norms, not both");
  if (t.importance) {
    check_device(*t.importance, "importance", t.weight);
    check_shape(*t.importance, "importance", t.weight);
    check_float(*t.importance, "importance");
  }
  if (t.column_norms) {
    check_device(*t.column_norms, "column_norms", t.weight);
    check_float(*t.column_norms, "column_norms");
    TORCH_CHECK_VALUE(t.column_norms->dim() == 1 && t.column_norms->sym_size(0) == t.weight.sym_size(-1),
                      "tsenor: column_norms must have the shape [cols] = [", t.weight.sym_size(-1), "], not ",
                      t.column_norms->sym_sizes());
  }
  if (t.mask) check_mask_out(*t.mask, t.weight);
  if (t.prices) check_prices(*t.prices, t.weight, a.m);
  TORCH_CHECK_VALUE(!warm || t.prices, "tsenor: warm=True needs the prices of an earlier call");
  TORCH_CHECK_VALUE(!warm || a.method == "optimal",
                    "tsenor: warm=True is for method='optimal': the published method "
                    "reads no prices");
}

void check_keep(const Tensor& weight, const Tensor& mask, const std::string& gradient) {
  one_of(gradient, "gradient", "straight_through", true, "masked", false);
  check_device(mask, "mask", weight);
  check_shape(mask, "mask", weight);
  TORCH_CHECK_TYPE(mask.scalar_type() == at::kBool, "tsenor: mask must be bool, not ", mask.scalar_type());
}

namespace {

void check_pattern_op(const Tensor& mask, std::int64_t n, std::int64_t m, std::string constraint, std::string edge) {
  check_pattern(mask, {n, m, "optimal", constraint, edge}, "mask");
}
void check_arguments_op(const Tensor& weight, std::int64_t n, std::int64_t m, const optional_tensor& importance,
                        const optional_tensor& column_norms, const optional_tensor& mask, const optional_tensor& prices,
                        std::string method, std::string constraint, std::string edge, bool warm) {
  check_arguments({weight, importance, column_norms, mask, prices}, {n, m, method, constraint, edge}, warm);
}
void check_keep_op(const Tensor& weight, const Tensor& mask, std::string gradient) {
  check_keep(weight, mask, gradient);
}
void check_in_place_op(const Tensor& weight) { at::assert_no_internal_overlap(weight); }

// What the operators' fakes ask, so that they refuse what the operators refuse.
TORCH_LIBRARY_FRAGMENT(tsenor, library) {
  library.def("check_pattern(Tensor mask, int n, int m, *, str constraint='exactly', str edge='reject') -> ()");
  library.def(
      "check_arguments(Tensor weight, int n, int m, Tensor? importance=None, Tensor? column_norms=None, "
      "Tensor? mask=None, Tensor? prices=None, *, str method='optimal', str constraint='exactly', str edge='reject', "
      "bool warm=False) -> ()");
  library.def("check_keep(Tensor weight, Tensor mask, str gradient) -> ()");
  library.def("check_in_place(Tensor weight) -> ()");
}
TORCH_LIBRARY_IMPL(tsenor, CompositeImplicitAutograd, library) {
  library.impl("check_pattern", &check_pattern_op);
  library.impl("check_arguments", &check_arguments_op);
  library.impl("check_keep", &check_keep_op);
  library.impl("check_in_place", &check_in_place_op);
}

}  // namespace
}  // namespace tsenor_torch
