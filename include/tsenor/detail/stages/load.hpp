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
  value most = 0;
  int replaced = 0;
  l.for_each_lane([&](int j) {
    for (int i = 0; i < at.rows && j < at.cols; i++) {
      const value raw = importance_at(p, at, i, j), x = clean(raw);
      replaced += unclean(raw);
      most = most > x ? most : x;
    }
  });
  tile_scale scale{l.tile_max(exponent_of(most)), 0.f, l.tile_sum(replaced)};
  float largest = 0;
  l.for_each_lane([&](int j) {
    for (int i = 0; i < L::width; i++) {
      const bool inside = i < at.rows && j < at.cols;
      float x = inside ? scaled_down(clean(importance_at(p, at, i, j)), scale.exponent) : 0.f;
      if constexpr (squares_after_scaling<Importance>) x *= x;
      largest = largest > x ? largest : x;
      l.importance.set(i, j, i < p.nm.m && j < p.nm.m ? x : absent);
    }
  });
  l.importance.seal();
  scale.largest = l.tile_max(largest);
  return scale;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
