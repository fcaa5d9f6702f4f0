// Magnitude and Wanda on the CPU. Weights of dead inputs are ranked by magnitude, below all others, and counted. Every
// argument that is null, misaligned, shared or no value of its type is refused, and nothing has been written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cases.hpp"
#include "layer_data.hpp"
#include "support/refused.hpp"
#include "tsenor/prune/prune.hpp"

namespace tsenor_test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct found_by_wanda : pruned_layer {
  std::vector<float> norms;
  std::int64_t dead() const {
    return std::count_if(norms.begin(), norms.end(), [](float x) { return x < 0; });
  }
};

found_by_wanda run_wanda(const reference_case& c, const layer_data& l) {
  found_by_wanda r;
  r.mask.resize(l.weights.size());
  r.weights.resize(l.weights.size());
  r.norms.resize(l.cols);
  prune::outputs<float> out;
  out.mask = r.mask.data();
  out.pruned = r.weights.data();
  const tsenor::matrix_view<const float> view(l.weights.data(), l.rows, l.cols);
  const auto call = [&](auto nm) {
    return prune::wanda(tsenor::cpu_executor{1}, nm, view, l.gram.data(), r.norms.data(), out, {c.structure, {}});
  };
  const tsenor::status s = c.nm.m == 4 ? call(prune::static_pattern<2, 4>{}) : call(prune::static_pattern<4, 8>{});
  EXPECT_TRUE(s.ok()) << s.message();
  return r;
}

// The importance that a mask keeps of the inputs `first` to `end`.
double kept(const layer_data& l, const byte_mask& mask, std::int64_t first, std::int64_t end, bool of_magnitude) {
  double sum = 0;
  for (std::int64_t i = 0; i < l.rows; ++i)
    for (std::int64_t j = first; j < end; ++j)
      if (mask[i * l.cols + j] != 0)
        sum += std::fabs(l.weights[i * l.cols + j]) * (of_magnitude ? 1. : std::sqrt(double(l.gram[j * l.cols + j])));
  return sum;
}

TEST(DeadInputs, LeaveMagnitudeWhereAllAreDead) {
  for (const float dead : {0.f, infinity}) {
    layer_data l(32, 64, 10, 41);
    l.kill(0, l.cols, dead);
    for (const reference_case& c : reference_cases()) {
      SCOPED_TRACE(label(c));
      const found_by_wanda found = run_wanda(c, l);
      EXPECT_EQ(found.mask, reference_magnitude(c, l.w()).mask);
      EXPECT_EQ(found.dead(), l.cols);
    }
  }
}

TEST(DeadInputs, ComeAfterAllOthersInRows) {
  layer_data l(64, 64, 50, 42);
  for (const std::int64_t first : {1, 8, 18, 19, 20, 21, 22, 23, 40})
    l.kill(first, first + 1, first == 20 ? infinity : 0.f);
  for (std::int64_t i = 0; i < l.rows; ++i) {
    l.weights[i * l.cols + 16] *= 1e-9f;  // a live one, and small
    l.weights[i * l.cols + 20] *= 1e9f;   // dead ones, and large
    l.weights[i * l.cols + 8] *= 1e9f;
  }
  for (const auto s : {prune::structure::row_wise, prune::structure::row_then_column}) {
    const reference_case c{{4, 8}, s};
    SCOPED_TRACE(label(c));
    const found_by_wanda found = run_wanda(c, l);
    matrix importance = l.w();  // in double there is room for both
    for (std::int64_t i = 0; i < l.rows; ++i)
      for (std::int64_t j = 0; j < l.cols; ++j) {
        const float square = l.gram[j * l.cols + j];
        const bool live = std::isfinite(square) && square > 0;
        importance(i, j) = std::fabs(importance(i, j)) * (live ? 1e60 * std::sqrt(square) : 1.);
      }
    EXPECT_EQ(found.mask, best_mask(c, importance));
    EXPECT_EQ(found.dead(), 9);
  }
}

TEST(DeadInputs, OfWholeTilesAreChosenByMagnitudeAndCostTheOthersNothing) {
  layer_data l(64, 64, 50, 43), others = l;
  l.kill(16, 32, 0.f);
  l.kill(37, 39, 0.f);
  const reference_case c{{4, 8}};
  const byte_mask found = run_wanda(c, l).mask, by_magnitude = reference_magnitude(c, l.w()).mask;
  EXPECT_NEAR(kept(l, found, 16, 32, true), kept(l, by_magnitude, 16, 32, true), 1e-6);
  // The best that can be done for the live inputs is what a mask keeps that gives the dead ones nothing.
  for (std::int64_t i = 0; i < l.rows; ++i)
    for (const std::int64_t j : {37, 38}) others.weights[i * l.cols + j] = 0;
  const double best = kept(l, run_wanda(c, others).mask, 32, 40, false);
  EXPECT_GE(kept(l, found, 32, 40, false), best * (1 - 0x1p-14));
}

using prune::static_pattern;
using tsenor::cpu_executor;

constexpr cpu_executor cpu{1};

using code = tsenor::status_code;

TEST(Contract, OfPruneWanda) {
  const auto call = [](places& p, const float* gram, float* norms, const prune::outputs<float>& out,
                       tsenor::options search = {}) {
    prune::sparsity rule;
    rule.search = search;
    return prune::wanda(cpu, static_pattern<4, 8>{}, p.view(), gram, norms, out, rule);
  };
  expect_refused({
      {"gram null", code::invalid_pointer,
       [=](places& p) { return call(p, nullptr, p.norms.data(), p.pruner_outputs()); }},
      {"gram misaligned", code::invalid_pointer,
       [=](places& p) { return call(p, one_byte_on(p.gram.data()), p.norms.data(), p.pruner_outputs()); }},
      {"norms null", code::invalid_pointer,
       [=](places& p) { return call(p, p.gram.data(), nullptr, p.pruner_outputs()); }},
      {"norms in gram", code::overlapping_buffers,
       [=](places& p) { return call(p, p.gram.data(), p.gram.data() + 64, p.pruner_outputs()); }},
      {"norms in the weights", code::overlapping_buffers,
       [=](places& p) { return call(p, p.gram.data(), p.weights.data(), p.pruner_outputs()); }},
      {"norms in pruned", code::overlapping_buffers,
       [=](places& p) { return call(p, p.gram.data(), p.pruned.data(), p.pruner_outputs()); }},
      {"pruned is gram", code::overlapping_buffers,
       [=](places& p) {
         return call(p, p.gram.data(), p.norms.data(), {p.gram.data(), p.mask.data()});
       }},
      {"no mask", code::invalid_pointer,
       [=](places& p) {
         return call(p, p.gram.data(), p.norms.data(), {p.pruned.data(), nullptr});
       }},
      {"tau", code::invalid_option,
       [=](places& p) {
         tsenor::options search;
         search.tau = std::numeric_limits<double>::quiet_NaN();
         return call(p, p.gram.data(), p.norms.data(), p.pruner_outputs(), search);
       }},
  });
}

TEST(Contract, OfPruneMagnitude) {
  const auto call = [](places& p, prune::outputs<float> out, prune::structure how = {}) {
    prune::sparsity rule;
    rule.structure = how;
    return prune::magnitude(cpu, static_pattern<4, 8>{}, p.view(), out, rule);
  };
  expect_refused({
      {"no pruned", code::invalid_pointer,
       [=](places& p) {
         return call(p, {nullptr, p.mask.data()});
       }},
      {"no mask", code::invalid_pointer,
       [=](places& p) {
         return call(p, {p.pruned.data(), nullptr});
       }},
      {"mask is pruned", code::overlapping_buffers,
       [=](places& p) {
         return call(p, {p.pruned.data(), inside<std::uint8_t>(p.pruned.data())});
       }},
      {"structure", code::invalid_option, [=](places& p) { return call(p, p.pruner_outputs(), prune::structure(9)); }},
  });
}

TEST(Contract, OfBuffersOfWanda) {
  places p;
  const std::string before = p.bytes();
  expect_apart(
      {{"gram", p.gram.data(), false},
       {"weights", p.weights.data(), false},
       {"pruned", p.pruned.data(), true},
       {"mask", p.mask.data(), true},
       {"norms", p.norms.data(), true}},
      [&] { return p.bytes() == before; },
      [&](const std::vector<place>& at) {
        const tsenor::matrix_view<const float> weights(static_cast<const float*>(at[1].at), side, side);
        return prune::wanda(cpu, static_pattern<4, 8>{}, weights, static_cast<const float*>(at[0].at),
                            static_cast<float*>(at[4].at),
                            {static_cast<float*>(at[2].at), static_cast<std::uint8_t*>(at[3].at)});
      });
}

// To the byte, in either order, and whatever else there is.
TEST(Contract, OfBuffersThatMayShareMemory) {
  using prune::detail::check_apart;
  const char memory[32] = {};
  const struct {
    int begin, size, other, other_size;
    bool shares;
  } cases[] = {{0, 8, 8, 8, false},  {0, 9, 8, 8, true},   {0, 16, 4, 1, true}, {4, 8, 4, 8, true},
               {0, 16, 4, 0, false}, {4, 0, 0, 16, false}, {0, 1, 31, 1, false}};
  for (const auto& c : cases)
    for (const bool writes : {false, true})
      for (const bool other_writes : {false, true}) {
        const prune::detail::used_buffer one{tsenor::detail::bytes_of(memory + c.begin, 1, c.size), writes, "one"},
            other{tsenor::detail::bytes_of(memory + c.other, 1, c.other_size), other_writes, "other"},
            away{tsenor::detail::bytes_of(memory + 20, 1, 4), true, "away"};
        const auto expected = c.shares && (writes || other_writes) ? code::overlapping_buffers : code::success;
        EXPECT_EQ(check_apart({one, away, other}).code(), expected) << c.begin << " " << c.other;
        EXPECT_EQ(check_apart({other, one, away}).code(), expected) << c.begin << " " << c.other;
        EXPECT_STREQ(check_apart({one, away, other}).message(), expected == code::success ? "success" : "other");
      }
  const prune::detail::used_buffer missing = prune::detail::written_buffer<float>(nullptr, 8, "missing");
  EXPECT_TRUE(check_apart({missing, missing}).ok());
}

}  // namespace
}  // namespace tsenor_test
