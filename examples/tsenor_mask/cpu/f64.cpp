#include "find.hpp"

template tool::solution tool::find_on_cpu(const double*, const matrix&, const task&, const settings&);

// Here, where find_mask for doubles is compiled anyway.
std::vector<double> tool::published_prices(const std::vector<double>& importance, tsenor::pattern p) {
  std::vector<double> prices(2 * static_cast<std::size_t>(p.m));
  tsenor::mask_outputs<double> out;
  out.prices = prices.data();
  tsenor::options options = tsenor::options::published();
  options.constraint = tsenor::constraint::exactly;
  const tsenor::matrix_view tile(importance.data(), p.m, p.m);
  require(tsenor::find_mask(tsenor::cpu_executor{1}, p, tile, out, options));
  return prices;
}
