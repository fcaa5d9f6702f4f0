/// \file
/// What the tool prints.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "plan.hpp"
#include "solver.hpp"

namespace tool {

/// One solved matrix. All numbers are finite.
struct result {
  std::string name, dtype;
  std::int64_t rows = 0, cols = 0;
  tsenor::pattern pattern;
  tsenor::method method = tsenor::method::optimal;
  tsenor::constraint constraint = tsenor::constraint::exactly;
  double kept = 0;   ///< fraction of the matrix's importance
  double value = 0;  ///< importance kept
  double bound = 0;  ///< no mask keeps more
  double gap = 0;    ///< (bound - value) / value
  std::int64_t violations = 0;
  std::int64_t replaced = 0;  ///< weights that were NaN or infinite
  double seconds = 0;
};

/// `total` is the importance of the whole matrix. Throws failure(exit_code::input) where a sum leaves the range of
/// double.
result make_result(const task& t, const solution& found, double total);

/// The sum of the importances, in double; see importance_of.
double total_importance(matrix& weights, importance_choice importance);

/// One object a line.
void print_json(std::ostream& out, const std::vector<result>& results, const settings& s, const char* device);

/// A table for people; the skipped tensors below it.
void print_table(std::ostream& out, const std::vector<result>& results, const settings& s, const char* device);

/// One line for each skipped tensor.
void print_skipped(std::ostream& out, const std::vector<skipped_tensor>& skipped);

/// A bar on stderr, if that is a terminal and there is more than one matrix; it erases itself at the end.
class progress_bar {
 public:
  explicit progress_bar(std::size_t count);
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  void advance();

 private:
  void draw() const;
  std::size_t count_, done_ = 0;
  bool visible_;
};

}  // namespace tool
