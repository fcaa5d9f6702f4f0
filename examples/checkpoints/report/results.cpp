#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>

#include "print.hpp"

namespace tool {
namespace {

// Three or four digits and a unit: "12.3 M".
std::string rate_text(const result& r) {
  if (r.seconds <= 0) return "-";  // faster than the clock
  double rate = static_cast<double>(checked_product(r.tensor.shape, 1).value_or(0)) / r.seconds;
  const char* const units[] = {"", " k", " M", " G", " T"};
  std::size_t unit = 0;
  for (; rate >= 1000 && unit + 1 < std::size(units); ++unit) rate /= 1000;
  return fixed(rate, 1) + units[unit];
}

void print_json(const std::vector<result>& results, const settings& s, const char* device) {
  for (const result& r : results)
    print_line({{"name", r.tensor.name},
                {"dtype", r.tensor.dtype},
                {"shape", r.tensor.shape},
                {"rows", r.tensor.rows()},
                {"cols", r.tensor.cols()},
                {"pattern", text_of(r.pattern)},
                {"method", name_of(r.method)},
                {"constraint", name_of(r.constraint)},
                {"importance", name_of(s.importance)},
                {"device", device},
                {"kept", r.kept()},
                {"value", r.value},
                {"bound", r.bound},
                {"gap", r.gap()},
                {"violations", r.violations},
                {"replaced", r.replaced},
                {"seconds", r.seconds}});
}

}  // namespace

importance_sums sums_of(const matrix& m, const std::vector<std::uint8_t>& mask, importance_choice importance) {
  return visit_weights(m, [&](const auto* w) {
    importance_sums sums;
    for (std::size_t k = 0; k < mask.size(); ++k) {
      const double worth = importance_of(w[k], importance);
      sums.total += worth;
      if (mask[k] != 0) sums.kept += worth;
    }
    return sums;
  });
}

void add(result& r, const matrix& m, int exponent, const solution& found, importance_choice importance) {
  const importance_sums sums = sums_of(m, found.mask, importance);
  const int power = importance == importance_choice::squared ? 2 * exponent : exponent;
  constexpr double rounding = 0x1p-22;  // more than floats of weights of 64 bits, or their squares, can lose
  const double slack = m.type == weight_type::f64 ? 1 + rounding : 1;
  const double bound = std::ldexp(found.summary.bound, power) * slack;
  r.total += sums.total;
  r.value += sums.kept;
  r.bound += std::max(bound, sums.kept);  // the two are rounded in different orders
  if (!std::isfinite(r.total) || !std::isfinite(r.bound))
    throw failure(
        exit_code::input,
        in_quotes(r.tensor.name) + " has weights so large that their importances sum up to infinity; scale it down");
  r.violations += found.violations;
  r.replaced += found.summary.replaced;
  r.seconds += found.seconds;
}

void print(const std::vector<result>& results, const settings& s, const char* device) {
  if (s.json) return print_json(results, s, device);
  std::cout << escaped(file_name(s.in)) << ": importance " << name_of(s.importance) << ", device " << device << "\n\n";
  std::vector<table_row> rows = {
      {"matrix", "shape", "pattern", "method", "constraint", "kept %", "certified gap %", "violations", "weights/s"}};
  std::int64_t replaced = 0;
  for (const result& r : results) {
    rows.push_back({escaped(r.tensor.name), shape_text(r.tensor.shape), text_of(r.pattern), name_of(r.method),
                    name_of(r.constraint), fixed(100 * r.kept(), 3), fixed(100 * r.gap(), 4),
                    std::to_string(r.violations), rate_text(r)});
    replaced += r.replaced;
  }
  print_aligned(rows);
  print_replaced(replaced);
}

}  // namespace tool
