// find_mask on the CPU: any pattern, sizes, strides, options and weights. A bad call is refused and writes nothing; a
// good one writes what it has to, nothing beside, and its certificate holds. Plain floats run on every instruction set.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "call.hpp"
#include "certificate.hpp"
#include "input.hpp"
#include "float_problem.hpp"
#include "solve_fixed.hpp"
#include "tsenor/detail/cpu_machines.hpp"

namespace tsenor_fuzz {
namespace {

using tsenor_test::certificate;
using tsenor_test::tile_span;

template <class T>
class call {
 public:
  using price = tsenor::price_type<T>;

  call(input& in, tsenor::pattern nm) : nm_(nm), m_(tsenor::is_supported(nm) ? nm.m : 8), opts_(taken_options(in)) {
    where_ = layout::taken(in, m_);
    offset_ = in.take(0, 3);
    for (bool& w : wanted_) w = in.take(0, 3) != 0;
    in_place_ = in.toss();
    weights_ = block<T>(where_.elements(), offset_);
    prices_ = block<price>(std::size_t(where_.tiles(m_) * 2 * m_), 1);
    mask_ = block<std::uint8_t>(where_.elements(), offset_);
    packed_ = block<std::uint8_t>(std::size_t(where_.batch * where_.rows * words() * word_size()), 8);
    pruned_ = block<T>(where_.elements(), offset_);
    reports_ = block<tsenor::tile_report>(std::size_t(where_.tiles(m_)), 1);
    fill(in, weights_.data(), weights_.size());
    if (opts_.start == tsenor::start::warm) fill(in, prices_.data(), prices_.size());
    original_ = weights_;
    start_ = prices_;
  }

  template <class Find>
  void expect_kept_promises(const Find& find) {
    const tsenor::status s = find(view(), outputs(), opts_);
    expect(s.ok() == good(), s.ok() ? "a bad call succeeded" : s.message());
    if (!s.ok() || where_.elements() == 0) return expect(nothing_written(), "a call that has nothing to do wrote");
    expect_untouched_beside();
    for (std::int64_t tile = 0; tile < where_.tiles(m_); ++tile) expect_solved(tile);
  }

 private:
  enum output { mask, packed, pruned, reports, prices };

  tsenor::matrix_view<const T> view() const {
    return {weights_.data(), where_.rows, where_.cols, where_.row_stride, where_.batch, where_.batch_stride};
  }
  T* pruned_data() { return in_place_ ? weights_.data() : pruned_.data(); }
  tsenor::mask_outputs<T> outputs() {
    tsenor::mask_outputs<T> out;
    if (wanted_[mask]) out.mask = {mask_.data(), where_.row_stride, where_.batch_stride};
    if (wanted_[packed]) out.packed = packed_.data();
    if (wanted_[pruned]) out.pruned = {pruned_data(), where_.row_stride, where_.batch_stride};
    if (wanted_[reports]) out.reports = reports_.data();
    if (wanted_[prices]) out.prices = prices_.data();
    return out;
  }
  bool good() const {
    const bool fits = opts_.edge == tsenor::edge::partial || (where_.rows % m_ == 0 && where_.cols % m_ == 0);
    // A call without elements asks for no outputs.
    const bool any = std::count(wanted_, wanted_ + 5, true) > 0;
    return tsenor::is_supported(nm_) && fits && in_range(opts_, wanted_[prices] || where_.elements() == 0) &&
           (any || where_.elements() == 0);
  }
  std::int64_t words() const { return tsenor_test::tiles_along(where_.cols, m_); }
  int word_size() const { return m_ <= 8 ? 1 : m_ <= 16 ? 2 : m_ <= 32 ? 4 : 8; }
  bool same(const T& a, const T& b) const { return std::memcmp(&a, &b, sizeof(T)) == 0; }
  bool same(const block<T>& a, const block<T>& b) const {
    return a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
  }
  bool same_prices() const {
    return prices_.size() == 0 || std::memcmp(prices_.data(), start_.data(), prices_.size() * sizeof(price)) == 0;
  }
  bool nothing_written() const {
    return same(weights_, original_) && same_prices() && mask_.untouched() && packed_.untouched() &&
           pruned_.untouched() && reports_.untouched();
  }
  bool inside(std::int64_t k) const {
    const std::int64_t in_matrix = k % where_.batch_stride;
    return in_matrix / where_.row_stride < where_.rows && in_matrix % where_.row_stride < where_.cols;
  }
  void expect_untouched_beside() const {
    expect(mask_.front_is_whole() && packed_.front_is_whole() && pruned_.front_is_whole() &&
               reports_.front_is_whole() && prices_.front_is_whole() && weights_.front_is_whole(),
           "written in front of a buffer");
    expect(wanted_[mask] || mask_.untouched(), "a mask that was not asked for");
    expect((wanted_[pruned] && !in_place_) || pruned_.untouched(), "pruned weights that were not asked for");
    expect((wanted_[pruned] && in_place_) || same(weights_, original_), "the weights were written");
    expect(wanted_[prices] || same_prices(), "prices that were not asked for");
    for (std::int64_t k = 0; k < std::int64_t(where_.elements()); ++k) {
      if (inside(k)) continue;
      expect(mask_.poisoned_at(k) && pruned_.poisoned_at(k), "written into the padding");
      expect(same(weights_.data()[k], original_.data()[k]), "the padding of the weights was written");
    }
  }
  /// Whether the mask keeps an entry, as each output that was asked for says.
  void expect_one_mask(std::int64_t b, std::int64_t i, std::int64_t j, bool kept) {
    const std::int64_t k = where_.at(b, i, j), at = (b * where_.rows + i) * words() + j / m_;
    std::uint64_t word = 0;
    std::memcpy(&word, packed_.data() + at * word_size(), std::size_t(word_size()));
    expect(!wanted_[packed] || (word >> (j % m_) & 1) == kept, "the packed mask is not the mask");
    const T expected = kept ? original_.data()[k] : T{};
    expect(!wanted_[pruned] || same(pruned_data()[k], expected), "pruned is not mask ? weight : +0.0");
  }
  void expect_solved(std::int64_t tile) {
    const std::int64_t across = tsenor_test::tiles_along(where_.cols, m_),
                       down = tsenor_test::tiles_along(where_.rows, m_), b = tile / (across * down);
    const tile_span rows = tsenor_test::span_of_tile(tile / across % down, where_.rows, m_);
    const tile_span cols = tsenor_test::span_of_tile(tile % across, where_.cols, m_);
    if (!wanted_[mask]) return;
    std::vector<double> importance;
    std::vector<std::uint8_t> kept;
    for (std::int64_t i = rows.begin; i < rows.end; ++i)
      for (std::int64_t j = cols.begin; j < cols.end; ++j) {
        importance.push_back(tsenor_test::importance_of(original_.data()[where_.at(b, i, j)]));
        kept.push_back(mask_.data()[where_.at(b, i, j)]);
        expect_one_mask(b, i, j, kept.back() == 1);
      }
    const tsenor_test::tile_problem problem{nm_, opts_.constraint, int(rows.size()), int(cols.size()),
                                            importance.data()};
    expect_certified(problem, tile, kept.data());
  }
  static std::string violation(const tsenor_test::tile_problem& problem, const std::uint8_t* kept) {
    return tsenor_test::violation_in_tile(kept, problem.cols, {0, problem.rows}, {0, problem.cols}, problem.nm,
                                          problem.kept);
  }
  /// Sums of the largest doubles are infinite, and what is below the least normal double is solved in coarser steps.
  bool proves_nothing(const tsenor_test::tile_problem& problem) const {
    const double* const end = problem.importance + problem.rows * problem.cols;
    const double sum = std::accumulate(problem.importance, end, 0.0);
    return !std::isfinite(2 * m_ * sum) || *std::max_element(problem.importance, end) < DBL_MIN;
  }
  void expect_certified(const tsenor_test::tile_problem& problem, std::int64_t tile, const std::uint8_t* kept) {
    if (proves_nothing(problem)) return expect(violation(problem, kept).empty(), "an infeasible mask");
    const std::vector<price> none(std::size_t(2 * m_));
    const certificate found =
        tsenor_test::judge(problem, kept, wanted_[prices] ? prices_.data() + tile * 2 * m_ : none.data());
    // Prices may be some times as large as weights, and those beyond the range of their type are cut off.
    const double largest = *std::max_element(problem.importance, problem.importance + problem.rows * problem.cols);
    const bool in_range = largest < double(std::numeric_limits<price>::max()) / 256;
    const bool proven = wanted_[prices] && in_range && opts_.method == tsenor::method::optimal;
    const bool loose = found.error == "the bound is too far above the value";
    expect(found.error.empty() || (!proven && loose), found.error.c_str());
    if (!wanted_[reports]) return;
    const tsenor::tile_report& r = reports_.data()[tile];
    expect(std::abs(r.value - found.value) <= 1e-12 * found.value, "a report of another value");
    expect(r.bound >= r.value, "a reported bound below the value");
    expect(opts_.method != tsenor::method::optimal || r.bound - found.value <= found.limit,
           "a reported bound too far above the value");
  }

  tsenor::pattern nm_;
  int m_;
  tsenor::options opts_;
  layout where_{};
  int offset_ = 0;
  bool wanted_[5] = {}, in_place_ = false;
  block<T> weights_{0, 0}, original_{0, 0}, pruned_{0, 0};
  block<price> prices_{0, 0}, start_{0, 0};
  block<std::uint8_t> mask_{0, 0}, packed_{0, 0};
  block<tsenor::tile_report> reports_{0, 0};
};

#if !defined(TSENOR_FUZZ_FIXED)
/// By the run-time entry, or by one instruction set.
void solve_floats(input& in) {
  using tsenor::detail::instruction_set;
  const tsenor::pattern nm{in.take(0, 64), in.take(0, 66)};
  const auto isa = instruction_set(in.take(0, 3));
  call<float>(in, nm).expect_kept_promises([&](const auto& view, const auto& out, const tsenor::options& opts) {
    if (isa > tsenor::detail::best_instruction_set())
      return tsenor_test::find_any<float>(tsenor::cpu_executor{1}, nm, view, out, opts);
    auto p = tsenor::detail::make_problem<float>(nm, view, out, opts, tsenor::magnitude{});
    tsenor::status s = tsenor::detail::check_problem(p, opts);
    if (s.ok() && p.grid.tiles > 0) s = tsenor::detail::check_wanted(out);
    if (s.ok() && p.grid.tiles > 0) tsenor_test::run_float_tiles(isa, p);
    return s;
  });
}

#endif

template <int N, int M, class T>
void solve_fixed(input& in) {
  call<T>(in, {N, M}).expect_kept_promises([](const auto& view, const auto& out, const tsenor::options& opts) {
    return tsenor_test::find_fixed<N, M>(tsenor::cpu_executor{1}, view, out, opts);
  });
}
template <class T>
void solve_4_8(input& in) {
  solve_fixed<4, 8, T>(in);
}

}  // namespace
}  // namespace tsenor_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace tsenor_fuzz;
  input in(bytes, size);
  switch (in.take(0, 15)) {
    case 0:
      return solve_4_8<double>(in), 0;
    case 1:
      return solve_4_8<tsenor::float16>(in), 0;
    case 2:
      return solve_4_8<tsenor::bfloat16>(in), 0;
    case 3:
      return solve_4_8<tsenor::float8_e4m3>(in), 0;
    case 4:
      return solve_4_8<tsenor::float8_e5m2>(in), 0;
#if defined(TSENOR_FUZZ_FIXED)
    case 5:
      return solve_fixed<2, 4, double>(in), 0;
    case 6:
      return solve_fixed<8, 16, double>(in), 0;
    case 7:
      return solve_4_8<float>(in), 0;
    default:
      return solve_fixed<2, 4, float>(in), 0;
#else
    default:
      return solve_floats(in), 0;
#endif
  }
}
