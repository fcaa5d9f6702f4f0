// The pipeline for 4x4 tiles, a tile a lane: on the GPU a thread's, on the CPU one of a hardware vector's. What is
// chosen depends on the tile alone: only how rows are read and written depends on where they lie (InFours), and prices
// and report are made for the mask afterwards. A smaller tile at the edge is filled up with zeros, of which at most N
// keeps none.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tsenor/detail/certified.hpp"
#include "tsenor/detail/problem.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// The rows of a tile; each is read and written at once where they are whole and lie on boundaries of four (InFours),
// else entry by entry.
template <class T>
struct rows4 {
  struct alignas(4 * sizeof(T)) row {
    T x[4];
  };
  row rows[4];

  TSENOR_FN void load(const T* from, std::int64_t stride) {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) rows[i] = *reinterpret_cast<const row*>(from + i * stride);
  }
  TSENOR_FN void store(T* to, std::int64_t stride) const {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) {
      if constexpr (sizeof(row) <= sizeof(std::uint64_t)) {  // nvcc would store them number by number
        typedef std::conditional_t<sizeof(row) == 4, std::uint32_t, std::uint64_t> word __attribute__((may_alias));
        static_assert(sizeof(word) == sizeof(row));
        word bytes;
        std::memcpy(&bytes, &rows[i], sizeof bytes);
        *reinterpret_cast<word*>(to + i * stride) = bytes;
      } else {
        *reinterpret_cast<row*>(to + i * stride) = rows[i];
      }
    }
  }
  // The first `height` x `width` entries; others are 0.
  TSENOR_FN void load(const T* from, std::int64_t stride, int height, int width) {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) rows[i].x[j] =
        i < height && j < width ? from[i * stride + j] : T{};
  }
  TSENOR_FN void store(T* to, std::int64_t stride, int height, int width) const {
    TSENOR_UNROLL for (int i = 0; i < 4; i++) TSENOR_UNROLL for (int j = 0; j < 4; j++) if (i < height && j < width)
        to[i * stride + j] = rows[i].x[j];
  }
  TSENOR_FN T& operator[](int k) { return rows[k / 4].x[k % 4]; }
};

template <bool InFours, class Weight, class Importance>
TSENOR_FN rows4<Weight> weights_of(const problem<Weight, Importance>& problem, const tile_position& at) {
  rows4<Weight> w;
  const auto& from = problem.weights;
  const Weight* const first = from.data + at.batch * from.batch_stride + at.row * from.row_stride + at.col;
  if constexpr (InFours)
    w.load(first, from.row_stride);
  else
    w.load(first, from.row_stride, at.rows, at.cols);
  return w;
}
template <bool InFours, class T>
TSENOR_FN void store_rows(const rows4<T>& rows, const output_buffer<T>& to, const tile_position& at) {
  if constexpr (InFours)
    rows.store(&element_of(to, at, 0, 0), to.row_stride);
  else
    rows.store(&element_of(to, at, 0, 0), to.row_stride, at.rows, at.cols);
}

// A thread of its own holds what 32 bits hold; a CPU is faster with the usual code.
template <bool InFours, class Lanes>
TSENOR_FN tile_position position_of_tile4(const tiling& grid, std::int64_t tile) {
  return InFours && Lanes::count == 1 ? position_of_whole(grid, 4, std::uint32_t(tile)) : position_of(grid, 4, tile);
}

// A product, as it is rounded: not a factor of a sum (fused multiply-add).
TSENOR_FN float rounded(float x) {
#if defined(__CUDA_ARCH__)
  asm("" : "+f"(x));
#endif
  return x;
}

template <bool InFours, class Weight, class Importance>
TSENOR_FN importance_value<Weight> importance_of(const problem<Weight, Importance>& problem, const tile_position& at,
                                                 const Weight& w, int k) {
  if (!InFours && (k / 4 >= at.rows || k % 4 >= at.cols)) return 0;
  return importance_value<Weight>(problem.importance(to_arithmetic(w), at.row + k / 4, at.col + k % 4, at.batch));
}

// Within 2^+-60, importances, their squares and sums need no scaling.
constexpr int safe_exponent = 60;

// The tile's importances, cleaned, and scaled where they need it; how many were replaced.
template <bool InFours, class Weight, class Importance>
TSENOR_FN int load_tile4(const problem<Weight, Importance>& problem, const tile_position& at, float (&importance)[16]) {
  using value = importance_value<Weight>;
  rows4<Weight> w = weights_of<InFours>(problem, at);
  value x[16], most = 0;
  int replaced = 0;
  decltype(bits_of(most)) top = 0;  // bits are ordered as numbers are, negative ones and NaN above
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    x[k] = importance_of<InFours>(problem, at, w[k], k);
    top = top > bits_of(x[k]) ? top : bits_of(x[k]);
  }
  std::memcpy(&most, &top, sizeof most);
  const int exponent = exponent_of(most);
  if (!is_clean(most) || exponent > safe_exponent || exponent < -safe_exponent) {
    most = 0;
    TSENOR_UNROLL for (int k = 0; k < 16; k++) {
      replaced += unclean(x[k]);
      x[k] = clean(x[k]);
      most = most > x[k] ? most : x[k];
    }
    TSENOR_UNROLL for (int k = 0; k < 16; k++) x[k] =
        value(detail::scaled_down(x[k], scale_exponent<Importance>(most)));
  }
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    importance[k] = float(x[k]);
    if constexpr (squares_after_scaling<Importance>) importance[k] = importance[k] * importance[k];
    importance[k] = rounded(importance[k]);
  }
  return replaced;
}

// A tile's importances in units of 2^-48 of scaled ones, rounded against a mask; what the mask keeps, rounded up; the
// exponent of the unit.
struct weighed4 {
  std::int64_t w[4][4], kept;
  int unit;
};
template <bool InFours, class Weight, class Importance>
TSENOR_FN weighed4 weigh_tile4(const problem<Weight, Importance>& problem, const tile_position& at, const mask4& mask) {
  using value = importance_value<Weight>;
  rows4<Weight> weights = weights_of<InFours>(problem, at);
  value x[16], most = 0;
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    x[k] = clean(importance_of<InFours>(problem, at, weights[k], k));
    most = most > x[k] ? most : x[k];
  }
  const tile_scale scale = scale_of<Importance>(most, 0);
  weighed4 r;
  r.unit = scale.unit - fine_bits;
  r.kept = 0;
  const in_units<Importance, value> of(scale.exponent, r.unit);
  TSENOR_UNROLL for (int k = 0; k < 16; k++) {
    const double y = of(x[k]), error = of.error(x[k], y), high = y + error;
    const std::int64_t below = std::int64_t(y - error),
                       above = std::int64_t(high) + (double(std::int64_t(high)) < high);
    const bool kept = mask.keeps(k / 4, k % 4);
    r.w[k / 4][k % 4] = kept ? below : above;
    if (kept) r.kept += above;
  }
  return r;
}

// Of a mask that was chosen, how far it is from the best, and prices.
template <bool InFours, class Weight, class Importance>
TSENOR_FN void certify_tile4(const problem<Weight, Importance>& problem, const tile_position& at, std::int64_t tile,
                             const mask4& mask, int replaced) {
  const weighed4 t = weigh_tile4<InFours>(problem, at, mask);
  if (problem.out.reports) {
    const certified sums = certified_sums(double(t.kept), double(left_open(t.w, mask)), t.unit);
    const std::uint32_t flags = (at.partial(4) ? report_partial_tile : 0u) | (replaced ? report_replaced_inputs : 0u);
    problem.out.reports[tile] = {sums.value, sums.bound, 0, 0, replaced, flags};
  }
  if (problem.out.prices) {
    const prices4 price = prices_of(t.w, mask);
    price_type<Weight>* const to = problem.out.prices + tile * 8;
    const stored_prices<price_type<Weight>> as_stored(t.unit);
    TSENOR_UNROLL for (int k = 0; k < 4; k++) {
      to[k] = as_stored(k < at.rows ? double(price.row[k]) : 0.);
      to[4 + k] = as_stored(k < at.cols ? double(price.col[k]) : 0.);
    }
  }
}

// Certifies: code for prices and reports, whose registers a kernel is better off without.
template <bool InFours, bool Certifies, class Weight, class Importance>
TSENOR_FN void store_tile4(const problem<Weight, Importance>& problem, const tile_position& at, std::int64_t tile,
                           const mask4& mask, int replaced) {
  if constexpr (Certifies)
    if (problem.certifies()) certify_tile4<InFours>(problem, at, tile, mask, replaced);
  if (problem.out.pruned.data) {
    rows4<Weight> w = weights_of<InFours>(problem, at);
    TSENOR_UNROLL for (int k = 0; k < 16; k++) w[k] = mask.kept >> k & 1u ? w[k] : Weight{};
    store_rows<InFours>(w, problem.out.pruned, at);
  }
  if (problem.out.mask.data) {
    rows4<std::uint8_t> rows;
    TSENOR_UNROLL for (int i = 0; i < 4; i++) {
      const std::uint32_t bytes = bytes_of_four(mask.kept >> 4 * i);
      std::memcpy(&rows.rows[i], &bytes, sizeof bytes);
    }
    store_rows<InFours>(rows, problem.out.mask, at);
  }
  if (problem.out.packed.data)
    for (int i = 0; i < at.rows; i++) packed_row<std::uint8_t>(problem, at, i) = mask.kept >> 4 * i & 15u;
}

// The best masks of a lane value of tiles, some of which may be smaller and keep at most n.
template <class Lanes>
TSENOR_FN typename Lanes::bits choose(const typename Lanes::real (&w)[4][4], int n,
                                      const bool (&at_most)[Lanes::count]) {
  typename Lanes::bits kept = {};
  for (int fewer = 0; fewer < 2; fewer++) {
    bool any = false;
    for (int t = 0; t < Lanes::count; t++) any = any || at_most[t] == bool(fewer);
    if (!any) continue;
    const auto best = best_of_tile4<Lanes>(w, n, fewer);
    for (int t = 0; t < Lanes::count; t++)
      if (at_most[t] == bool(fewer)) Lanes::set(kept, t, Lanes::get(best, t));
  }
  return kept;
}

// load, choose, store, of as many tiles as a lane value holds: those from `first` on, but for `end` and beyond.
template <bool InFours, bool Certifies, class Lanes, class Weight, class Importance>
TSENOR_FN void solve_tiles4(const problem<Weight, Importance>& problem, std::int64_t first, std::int64_t end,
                            bool at_most) {
  typename Lanes::real w[4][4];
  int replaced[Lanes::count];
  bool fewer[Lanes::count];
  for (int t = 0; t < Lanes::count; t++) {
    float importance[16];
    const bool beyond = Lanes::count > 1 && first + t >= end;  // another thread may be pruning what follows
    const tile_position at = position_of_tile4<InFours, Lanes>(problem.grid, beyond ? end - 1 : first + t);
    fewer[t] = at_most || at.partial(4);
    replaced[t] = load_tile4<InFours>(problem, at, importance);
    TSENOR_UNROLL for (int k = 0; k < 16; k++) Lanes::set(w[k / 4][k % 4], t, importance[k]);
  }
  typename Lanes::bits kept;
  if constexpr (InFours)
    kept = best_of_tile4<Lanes>(w, problem.nm.n, at_most);
  else
    kept = choose<Lanes>(w, problem.nm.n, fewer);
  asm volatile("" ::: "memory");  // weights are read again below, not held in registers until then
  for (int t = 0; t < Lanes::count; t++) {
    if (first + t >= end) continue;
    const mask4 mask{Lanes::get(kept, t), problem.nm.n, fewer[t]};
    // Nor are positions: compilers do not know that this adds 0.
    const std::int64_t tile =
        InFours && Lanes::count == 1 ? std::int64_t(std::uint32_t(first) + (mask.kept >> 16)) : first + t;
    store_tile4<InFours, Certifies>(problem, position_of_tile4<InFours, Lanes>(problem.grid, tile), tile, mask,
                                    replaced[t]);
  }
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
