// load: the tile's importances, scaled by a power of two, into l.importance.
#include "tsenor/detail/lanes/machine.hpp"
#if !defined(TSENOR_LOAD_STAGE)
#define TSENOR_LOAD_STAGE

#include <cstdint>

#include "tsenor/detail/problem.hpp"
#include "tsenor/detail/scale.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// An entry outside the M x M tile, in the lanes and columns that a smaller M leaves over: its plan is 0.
constexpr float absent = -1e30f;

struct tile_scale {
  int exponent;   // importances are 2^exponent times what l.importance holds, before squaring if they are squared
  float largest;  // in l.importance
  int replaced;   // NaN, negative or infinite importances
};

// The importance of the tile's element (i, j), or what stands under the square.
template <class Weight, class Importance>
TSENOR_FN importance_value<Weight> importance_at(const problem<Weight, Importance>& p, const tile_position& at, int i,
                                                 int j) {
  const std::int64_t row = at.row + i, col = at.col + j;
  const Weight w = p.weights.data[at.batch * p.weights.batch_stride + row * p.weights.row_stride + col];
  return p.importance(to_arithmetic(w), row, col, at.batch);
}

template <class L, class Weight, class Importance>
TSENOR_FN tile_scale load(L& l, const problem<Weight, Importance>& p, const tile_position& at) {
  using value = importance_value<Weight>;
  value x[L::own_lanes][L::width], most = 0;  // all are read before the first is used
  int replaced = 0;
  l.for_each_lane([&](int j, int own) {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) {
      const value raw = i < at.rows && j < at.cols ? importance_at(p, at, i, j) : value(0);
      x[own][i] = clean(raw);
      replaced += unclean(raw);
      most = most > x[own][i] ? most : x[own][i];
    }
  });
  tile_scale scale{l.tile_max(exponent_of(most)), 0.f, l.tile_sum(replaced)};
  float largest = 0;
  l.for_each_lane([&](int j, int own) {
    TSENOR_UNROLL for (int i = 0; i < L::width; i++) {
      float y = scaled_down(x[own][i], scale.exponent);
      if constexpr (squares_after_scaling<Importance>) y *= y;
      largest = largest > y ? largest : y;
      l.importance.set(i, j, i < p.nm.m && j < p.nm.m ? y : absent);
    }
  });
  l.importance.seal();
  scale.largest = l.tile_max(largest);
  return scale;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
