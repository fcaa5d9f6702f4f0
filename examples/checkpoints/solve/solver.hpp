/// \file
/// The step that differs between the machines: from weights to their mask.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "settings.hpp"
#include "tsenor/report.hpp"

namespace tool {

/// What is searched for.
struct search {
  tsenor::pattern pattern;
  tsenor::options options;
  importance_choice importance = importance_choice::magnitude;
  int threads = 0;
};

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
  /// `weights` are `[rows, cols]`. Throws failure.
  virtual solution solve(const std::vector<float>& weights, std::int64_t rows, std::int64_t cols, const search& s) = 0;
};

std::unique_ptr<solver> make_cpu_solver();

/// Null where no CUDA device can be used; `why_not` then says why and what to do.
std::unique_ptr<solver> make_cuda_solver(std::string& why_not);

/// The prices that the published method returns, on the CPU, for the `[m, m]` importances of one tile under exactly N:
/// its m rows', then its m columns'. They are its plan's potentials.
std::vector<float> published_prices(const std::vector<float>& importance, tsenor::pattern p);

/// The number of tiles of a matrix, those at the edge included.
inline std::int64_t tile_count(std::int64_t rows, std::int64_t cols, tsenor::pattern pattern) {
  return ((rows + pattern.m - 1) / pattern.m) * ((cols + pattern.m - 1) / pattern.m);
}

}  // namespace tool
