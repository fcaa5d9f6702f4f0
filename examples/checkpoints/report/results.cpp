#include "report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "importance.hpp"

namespace tool {
namespace {

std::string text_of(tsenor::pattern pattern) { return std::to_string(pattern.n) + ":" + std::to_string(pattern.m); }

std::string fixed(double x, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << x;
  return text.str();
}

// Three or four digits and a unit: "12.3 M".
std::string rate_text(const result& r) {
  if (r.seconds <= 0) return "-";  // faster than the clock
  double rate = static_cast<double>(r.rows) * static_cast<double>(r.cols) / r.seconds;
  const char* const units[] = {"", " k", " M", " G", " T"};
  std::size_t unit = 0;
  for (; rate >= 1000 && unit + 1 < std::size(units); ++unit) rate /= 1000;
  return fixed(rate, 1) + units[unit];
}

using table_row = std::vector<std::string>;

void print_aligned(std::ostream& out, const std::vector<table_row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const table_row& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  for (const table_row& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c)
      out << (c == 0 ? std::left : std::right) << std::setw(static_cast<int>(widths[c])) << row[c]
          << (c + 1 < row.size() ? "  " : "\n");
  }
}

}  // namespace

result make_result(const task& t, const solution& found, double total) {
  result r;
  r.name = t.tensor.name;
  r.dtype = t.tensor.dtype;
  r.rows = static_cast<std::int64_t>(t.tensor.shape.at(0));
  r.cols = static_cast<std::int64_t>(t.tensor.shape.at(1));
  r.pattern = t.pattern;
  r.method = t.options.method;
  r.constraint = t.options.constraint;
  r.value = found.summary.value;
  r.bound = found.summary.bound;
  if (!std::isfinite(total) || !std::isfinite(r.value) || !std::isfinite(r.bound))
    throw failure(exit_code::input,
                  in_quotes(r.name) + " has weights so large that their importances sum up to infinity; scale it down");
  r.kept = total > 0 ? std::min(1.0, r.value / total) : 1;  // the two sums are rounded in different orders
  r.gap = r.value > 0 ? (r.bound - r.value) / r.value : 0;
  r.violations = found.violations;
  r.replaced = found.summary.replaced;
  r.seconds = found.seconds;
  return r;
}

double total_importance(matrix& weights, importance_choice importance) {
  const std::int64_t count = weights.rows * weights.cols;
  return visit_weights(weights, [&](const auto* w) {
    double total = 0;
    for (std::int64_t i = 0; i < count; ++i) total += importance_of(w[i], importance);
    return total;
  });
}

void print_json(std::ostream& out, const std::vector<result>& results, const settings& s, const char* device) {
  for (const result& r : results) {
    const nlohmann::ordered_json object = {{"name", r.name},
                                           {"dtype", r.dtype},
                                           {"rows", r.rows},
                                           {"cols", r.cols},
                                           {"pattern", text_of(r.pattern)},
                                           {"method", name_of(r.method)},
                                           {"constraint", name_of(r.constraint)},
                                           {"importance", name_of(s.importance)},
                                           {"device", device},
                                           {"kept", r.kept},
                                           {"value", r.value},
                                           {"bound", r.bound},
                                           {"gap", r.gap},
                                           {"violations", r.violations},
                                           {"replaced", r.replaced},
                                           {"seconds", r.seconds}};
    out << object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  }
}

void print_table(std::ostream& out, const std::vector<result>& results, const settings& s, const char* device) {
  if (results.empty()) return;
  out << escaped(s.in.filename().string()) << ": importance " << name_of(s.importance) << ", device " << device
      << "\n\n";
  std::vector<table_row> rows = {
      {"matrix", "shape", "pattern", "method", "constraint", "kept %", "certified gap %", "violations", "weights/s"}};
  std::int64_t replaced = 0;
  for (const result& r : results) {
    rows.push_back({escaped(r.name), std::to_string(r.rows) + " x " + std::to_string(r.cols), text_of(r.pattern),
                    name_of(r.method), name_of(r.constraint), fixed(100 * r.kept, 3), fixed(100 * r.gap, 4),
                    std::to_string(r.violations), rate_text(r)});
    replaced += r.replaced;
  }
  print_aligned(out, rows);
  if (replaced > 0)
    out << "\n" << replaced << " weights were NaN (counted as 0) or infinite (as the largest finite value)\n";
}

void print_skipped(std::ostream& out, const std::vector<skipped_tensor>& skipped) {
  for (const skipped_tensor& t : skipped)
    out << "skipped " << in_quotes(t.tensor.name) << " for " << text_of(t.pattern) << ": it " << t.reason << '\n';
}

progress_bar::progress_bar(std::size_t count) : count_(count), visible_(count > 1 && isatty(STDERR_FILENO)) { draw(); }

progress_bar::~progress_bar() {
  if (visible_) std::cerr << "\r\033[K" << std::flush;
}

void progress_bar::advance() {
  ++done_;
  draw();
}

void progress_bar::draw() const {
  if (!visible_) return;
  constexpr std::size_t width = 40;
  const std::size_t full = width * done_ / count_;
  std::cerr << "\r[" << std::string(full, '#') << std::string(width - full, '.') << "] " << done_ << "/" << count_
            << std::flush;
}

}  // namespace tool
