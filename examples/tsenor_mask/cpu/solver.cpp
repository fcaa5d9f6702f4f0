#include "../solver.hpp"

namespace tool {

template <class Weight>
solution find_on_cpu(const Weight* weights, const matrix& m, const task& t, const settings& s);  // find.hpp

namespace {

class cpu_solver : public solver {
 public:
  const char* device() const override { return "cpu"; }
  solution solve(matrix& m, const task& t, const settings& s) override {
    return find_in_floats(m, [&](const auto* weights) { return find_on_cpu(weights, m, t, s); });
  }
};

}  // namespace

std::unique_ptr<solver> make_cpu_solver() { return std::make_unique<cpu_solver>(); }

}  // namespace tool
