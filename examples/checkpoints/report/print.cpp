#include "print.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace tool {

std::string fixed(double x, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << x;
  return text.str();
}

std::string file_name(const std::filesystem::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

void print_aligned(const std::vector<table_row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const table_row& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  for (const table_row& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c)
      std::cout << (c == 0 ? std::left : std::right) << std::setw(static_cast<int>(widths[c])) << row[c]
                << (c + 1 < row.size() ? "  " : "\n");
  }
}

void print_line(const nlohmann::ordered_json& object) {
  std::cout << object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void print_replaced(std::int64_t replaced) {
  if (replaced > 0)
    std::cout << "\n" << replaced << " weights were NaN (counted as 0) or infinite (as the largest finite value)\n";
}

void print_rest(const selection& s, const checkpoint& in, bool json) {
  if (json) {
    for (const dense_tensor& d : s.dense)
      print_line({{"name", d.tensor.name}, {"dtype", d.tensor.dtype}, {"shape", d.tensor.shape}, {"dense", d.reason}});
    for (const auto& [file, reason] : in.strangers()) print_line({{"file", file}, {"left_out", reason}});
    for (const std::string& note : s.notes) print_line({{"note", note}});
    return;
  }
  if (!s.dense.empty()) std::cout << "\nstayed dense:\n";
  for (const std::string& line : grouped(s.dense)) std::cout << "  " << line << '\n';
  if (!in.strangers().empty()) std::cout << "\nleft out:\n";
  for (const auto& [file, reason] : in.strangers()) std::cout << "  " << reason << ": " << in_quotes(file) << '\n';
  if (!s.notes.empty()) std::cout << "\nnote:\n";
  for (const std::string& note : s.notes) std::cout << "  " << note << '\n';
}

void flush_output() {
  if (!std::cout.flush())
    throw failure(exit_code::input, "cannot write the result to the standard output; check where it goes");
}

}  // namespace tool
