#include "reference_published.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tsenor_test {
namespace {

// Scales one row or column of the plan to the sum n.
void project_line(double* s, int m, int stride, int n) {
  double sum = 0;
  for (int k = 0; k < m; ++k) sum += s[k * stride];
  const double factor = n / sum;
  for (int k = 0; k < m; ++k) s[k * stride] *= factor;
}

// Caps the plan at 1. Only this projection needs Dykstra's correction, q: the other two are onto affine sets.
void project_capacity(std::vector<double>& s, std::vector<double>& q) {
  for (std::size_t k = 0; k < s.size(); ++k) {
    const double uncapped = s[k] * q[k];
    s[k] = std::min(uncapped, 1.0);
    q[k] = std::max(uncapped, 1.0);  // uncapped / s[k]
  }
}

// A mask that is being built, with its row and column counts.
class selection {
 public:
  explicit selection(tsenor::pattern p) : n_(p.n), m_(p.m), mask_(m_ * m_), row_count_(m_), col_count_(m_) {}

  bool kept(int i, int j) const { return mask_[i * m_ + j] != 0; }
  bool has_room(int i, int j) const { return row_count_[i] < n_ && col_count_[j] < n_; }
  int first_deficient_row() const { return first_below_n(row_count_); }
  int first_deficient_col() const { return first_below_n(col_count_); }
  void set(int i, int j, bool keep) {
    mask_[i * m_ + j] = keep;
    row_count_[i] += keep ? 1 : -1;
    col_count_[j] += keep ? 1 : -1;
  }
  const std::vector<std::uint8_t>& mask() const { return mask_; }

 private:
  int first_below_n(const std::vector<int>& counts) const {
    const auto found = std::find_if(counts.begin(), counts.end(), [this](int count) { return count < n_; });
    return found == counts.end() ? -1 : static_cast<int>(found - counts.begin());
  }

  int n_, m_;
  std::vector<std::uint8_t> mask_;
  std::vector<int> row_count_, col_count_;
};

void select_greedily(const double* plan, int m, selection& s) {
  std::vector<int> order(m * m);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [plan](int a, int b) { return plan[a] > plan[b]; });
  for (int k : order) {
    if (s.has_room(k / m, k % m)) s.set(k / m, k % m, true);
  }
}

struct swap {
  int row = -1, col = -1;  // the kept entry that is given up
  double gain = 0;
};

// The best swap for deficient row i and column j: gives up (i', j') and keeps (i, j') and (i', j) instead.
swap best_swap(const double* w, int m, const selection& s, int i, int j) {
  swap best;
  for (int row = 0; row < m; ++row) {
    for (int col = 0; col < m; ++col) {
      if (!s.kept(row, col) || s.kept(i, col) || s.kept(row, j)) continue;
      const double gain = w[i * m + col] + w[row * m + j] - w[row * m + col];
      if (best.row < 0 || gain > best.gain) best = {row, col, gain};
    }
  }
  return best;
}

// Local search of `steps` swaps that gain, then, if the mask is to be complete, swaps at any price.
//
// A completing swap always exists. Throughout, every free (a, b) lies in a full row or a full column: greedy leaves no
// other, and a swap keeps the count of the row and column from which it takes an entry. Let row i and column j be
// deficient (if one is, so is the other: the deficits have equal sums). Column j keeps fewer than n <= m entries, so
// some (i', j) is free and row i' is full. It keeps n entries and row i fewer, so it keeps one in a column j' where row
// i does not: (i', j') is kept, (i, j') and (i', j) are free.
int search_locally(const double* w, int m, int steps, bool complete, selection& s) {
  int moves = 0;
  bool gaining = true;
  for (int i; (i = s.first_deficient_row()) >= 0; ++moves) {
    const int j = s.first_deficient_col();
    const swap best = best_swap(w, m, s, i, j);
    gaining = gaining && moves < steps && best.row >= 0 && best.gain > 0;
    if (!gaining && !complete) break;
    s.set(best.row, best.col, false);
    s.set(i, best.col, true);
    s.set(best.row, j, true);
  }
  return moves;
}

}  // namespace

std::vector<double> reference_plan(const double* importance, tsenor::pattern p, const tsenor::options& opts) {
  const int m = p.m;
  const double largest = *std::max_element(importance, importance + m * m);
  if (largest == 0) return std::vector<double>(m * m, double(p.n) / m);
  std::vector<double> s(m * m), q(m * m, 1);
  for (int k = 0; k < m * m; ++k) s[k] = std::exp(importance[k] / largest / opts.tau);
  for (int t = 0; t < opts.iterations; ++t) {
    for (int i = 0; i < m; ++i) project_line(&s[i * m], m, 1, p.n);
    for (int j = 0; j < m; ++j) project_line(&s[j], m, m, p.n);
    project_capacity(s, q);
  }
  return s;
}

reference_rounding reference_round(const double* importance, const double* plan, tsenor::pattern p,
                                   const tsenor::options& opts) {
  selection s(p);
  select_greedily(plan, p.m, s);
  reference_rounding result;
  result.moves =
      search_locally(importance, p.m, opts.local_search_steps, opts.constraint == tsenor::constraint::exactly, s);
  result.mask = s.mask();
  for (int k = 0; k < p.m * p.m; ++k) result.value += result.mask[k] ? importance[k] : 0.0;
  return result;
}

reference_tile reference_published(const double* importance, tsenor::pattern p, const tsenor::options& opts) {
  reference_tile result;
  result.plan = reference_plan(importance, p, opts);
  result.rounding = reference_round(importance, result.plan.data(), p, opts);
  return result;
}

}  // namespace tsenor_test
