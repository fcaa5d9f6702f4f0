/// \file
/// The one step that differs between the machines: from a matrix to its mask.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan.hpp"
#include "settings.hpp"
#include "tensor_file.hpp"
#include "tsenor/report.hpp"

namespace tool {

struct solution {
  std::vector<std::uint8_t> mask;  ///< [rows, cols], 1 where the weight is kept
  tsenor::report_summary summary{};
  std::int64_t violations = 0;  ///< rows and columns of tiles that break the constraint asked for
  double seconds = 0;           ///< of find_mask alone
};

class solver {
 public:
  virtual ~solver() = default;
  virtual const char* device() const = 0;
  /// `weights` are those of the tensor of `t`. Uses importance and threads of `s`. Throws failure.
  virtual solution solve(matrix& weights, const task& t, const settings& s) = 0;
};

std::unique_ptr<solver> make_cpu_solver();

/// The prices that the published method returns, on the CPU, for the `[m, m]` importances of one tile under exactly N: its m
/// rows', then its m columns'. They are its plan's potentials.
std::vector<double> published_prices(const std::vector<double>& importance, tsenor::pattern p);

/// Null where no CUDA device can be used; `why_not` then says why and what to do.
std::unique_ptr<solver> make_cuda_solver(std::string& why_not);

/// Calls `find` with the weights as doubles where they are, else as floats: widened, weights of 16 bits have the same
/// masks, and nothing has to be compiled for them.
template <class Find>
solution find_in_floats(matrix& m, const Find& find) {
  if (m.type == weight_type::f64) return find(reinterpret_cast<const double*>(m.data.data()));
  if (m.type == weight_type::f32) return find(reinterpret_cast<const float*>(m.data.data()));
  return find(to_floats(m).data());
}

/// The number of tiles of the matrix, those at the edge included.
inline std::int64_t tile_count(const matrix& weights, tsenor::pattern pattern) {
  return ((weights.rows + pattern.m - 1) / pattern.m) * ((weights.cols + pattern.m - 1) / pattern.m);
}

}  // namespace tool
