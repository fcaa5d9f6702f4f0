// Every argument of every public function on the CPU that is null, misaligned, shared, too large or no value of its
// type: the call is refused, says what is wrong, and has written nothing. What find_mask's options and views may be is
// in errors_test.cpp; the pruners are in saliency_test.cpp.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "refused.hpp"
#include "solve_fixed.hpp"
#include "tsenor/apply_mask.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/sparse24/layout.hpp"
#include "tsenor/sparse24/mvue.hpp"
#include "tsenor/summarize.hpp"

namespace tsenor_test {
namespace {

using tsenor::cpu_executor;
using tsenor::matrix_view;
using tsenor::status;

constexpr cpu_executor cpu{1}, no_cpu{-1};

using code = tsenor::status_code;

TEST(Contract, OfFindMask) {
  const auto with = [](places& p, const tsenor::mask_outputs<float>& out, tsenor::wanda importance) {
    return find_fixed<4, 8>(cpu, p.view(), out, tsenor::options{}, importance);
  };
  const auto writing = [](places& p, const tsenor::mask_outputs<float>& out) {
    return find_fixed<4, 8>(cpu, p.view(), out);
  };
  expect_refused({
      {"no output", code::invalid_pointer, [=](places& p) { return writing(p, {}); }},
      {"norms null", code::invalid_pointer, [=](places& p) { return with(p, p.outputs(), {}); }},
      {"norms misaligned", code::invalid_pointer,
       [=](places& p) { return with(p, p.outputs(), {one_byte_on(p.norms.data())}); }},
      {"norms are an output", code::overlapping_buffers,
       [=](places& p) { return with(p, p.outputs(), {inside<float>(p.mask.data() + 4)}); }},
      {"stride of an output too large", code::invalid_shape,
       [=](places& p) {
         auto out = p.outputs();
         out.mask.row_stride = 8 * too_many;
         return writing(p, out);
       }},
      {"prices of too many tiles", code::invalid_shape,
       [](places& p) {
         tsenor::mask_outputs<float> out;
         out.prices = p.prices.data();
         tsenor::options opts;
         opts.edge = tsenor::edge::partial;
         return find_fixed<4, 8>(cpu, matrix_view<const float>{p.weights.data(), 1, 1, 1, too_many / 4, 1}, out, opts);
       }},
  });
}

TEST(Contract, OfCheckMask) {
  constexpr tsenor::pattern nm{4, 8};
  expect_refused({
      {"threads", code::invalid_option, [=](places& p) { return check_mask(no_cpu, nm, p.kept(), &p.violations); }},
      {"pattern", code::invalid_pattern,
       [=](places& p) {
         return check_mask(cpu, {9, 8}, p.kept(), &p.violations);
       }},
      {"mask null", code::invalid_pointer,
       [=](places& p) {
         return check_mask(cpu, nm, {nullptr, side, side}, &p.violations);
       }},
      {"mask too large", code::invalid_shape,
       [=](places& p) {
         return check_mask(cpu, nm, {p.mask.data(), 8 * too_many, 8 * too_many}, &p.violations);
       }},
      {"sides", code::not_divisible,
       [=](places& p) {
         return check_mask(cpu, nm, {p.mask.data(), side - 1, side}, &p.violations);
       }},
      {"result null", code::invalid_pointer, [=](places& p) { return check_mask(cpu, nm, p.kept(), nullptr); }},
      {"result misaligned", code::invalid_pointer,
       [=](places& p) { return check_mask(cpu, nm, p.kept(), one_byte_on(&p.violations)); }},
      {"result in the mask", code::overlapping_buffers,
       [=](places& p) { return check_mask(cpu, nm, p.kept(), inside<tsenor::mask_violations>(p.mask.data() + 16)); }},
      {"constraint", code::invalid_option,
       [=](places& p) { return check_mask(cpu, nm, p.kept(), &p.violations, tsenor::constraint(9)); }},
      {"edge", code::invalid_option,
       [=](places& p) { return check_mask(cpu, nm, p.kept(), &p.violations, {}, tsenor::edge(9)); }},
  });
}

TEST(Contract, OfApplyMask) {
  expect_refused({
      {"threads", code::invalid_option, [](places& p) { return apply_mask(no_cpu, p.view(), p.kept(), p.target()); }},
      {"weights null", code::invalid_pointer,
       [](places& p) {
         return apply_mask(cpu, matrix_view<const float>{nullptr, side, side}, p.kept(), p.target());
       }},
      {"mask null", code::invalid_pointer,
       [](places& p) {
         return apply_mask(cpu, p.view(), {nullptr, side, side}, p.target());
       }},
      {"pruned null", code::invalid_pointer,
       [](places& p) {
         return apply_mask(cpu, p.view(), p.kept(), {nullptr, side, side});
       }},
      {"pruned misaligned", code::invalid_pointer,
       [](places& p) {
         return apply_mask(cpu, p.view(), p.kept(), {one_byte_on(p.pruned.data()), side, side - 1, side});
       }},
      {"pruned one row below the weights", code::overlapping_buffers,
       [](places& p) {
         return apply_mask(cpu, matrix_view<const float>{p.weights.data(), side - 1, side},
                           {p.mask.data(), side - 1, side}, {p.weights.data() + side, side - 1, side});
       }},
      {"pruned in the mask", code::overlapping_buffers,
       [](places& p) {
         return apply_mask(cpu, matrix_view<const float>{p.weights.data(), 1, 4}, {p.mask.data(), 1, 4},
                           {inside<float>(p.mask.data()), 1, 4});
       }},
  });
}

TEST(Contract, OfShapesInApplyMask) {
  expect_refused({
      {"mask of another shape", code::invalid_shape,
       [](places& p) {
         return apply_mask(cpu, p.view(), {p.mask.data(), side, side - 1}, p.target());
       }},
      {"pruned of another shape", code::invalid_shape,
       [](places& p) {
         return apply_mask(cpu, p.view(), p.kept(), {p.pruned.data(), side - 1, side});
       }},
      {"mask of more matrices", code::invalid_shape,
       [](places& p) {
         return apply_mask(cpu, matrix_view<const float>{p.weights.data(), 8, 8}, {p.mask.data(), 8, 8, 8, 2, 64},
                           {p.pruned.data(), 8, 8});
       }},
      {"pruned of no batch", code::invalid_shape,
       [](places& p) {
         return apply_mask(cpu, p.view(), p.kept(), {p.pruned.data(), side, side, side, 0, 0});
       }},
  });
}

TEST(Contract, OfSummarize) {
  const std::int64_t tiles = count / 64;
  expect_refused({
      {"threads", code::invalid_option,
       [=](places& p) { return summarize(no_cpu, p.reports.data(), tiles, &p.summary); }},
      {"reports null", code::invalid_pointer, [=](places& p) { return summarize(cpu, nullptr, tiles, &p.summary); }},
      {"reports misaligned", code::invalid_pointer,
       [=](places& p) { return summarize(cpu, one_byte_on(p.reports.data()), tiles - 1, &p.summary); }},
      {"count", code::invalid_shape, [](places& p) { return summarize(cpu, p.reports.data(), -1, &p.summary); }},
      {"too many", code::invalid_shape,
       [](places& p) { return summarize(cpu, p.reports.data(), too_many, &p.summary); }},
      {"result null", code::invalid_pointer,
       [=](places& p) { return summarize(cpu, p.reports.data(), tiles, nullptr); }},
      {"result misaligned", code::invalid_pointer,
       [=](places& p) { return summarize(cpu, p.reports.data(), tiles, one_byte_on(&p.summary)); }},
      {"result in the reports", code::overlapping_buffers,
       [=](places& p) {
         return summarize(cpu, p.reports.data(), tiles, inside<tsenor::report_summary>(&p.reports[2]));
       }},
  });
}

TEST(Contract, OfCompress) {
  const auto call = [](matrix_view<const tsenor::float16> w, matrix_view<const std::uint8_t> mask, void* to,
                       tsenor::sparse24::operand which = {}) { return tsenor::sparse24::compress(w, mask, which, to); };
  expect_refused({
      {"weights null", code::invalid_pointer,
       [=](places& p) {
         return call({nullptr, side, side}, p.kept(), p.compressed.data());
       }},
      {"mask null", code::invalid_pointer,
       [=](places& p) {
         return call(p.half_view(), {nullptr, side, side}, p.compressed.data());
       }},
      {"compressed null", code::invalid_pointer, [=](places& p) { return call(p.half_view(), p.kept(), nullptr); }},
      {"compressed is the mask", code::overlapping_buffers,
       [=](places& p) { return call(p.half_view(), p.kept(), p.mask.data() + count - 1); }},
      {"compressed is the weights", code::overlapping_buffers,
       [=](places& p) { return call(p.half_view(), p.kept(), p.halves.data()); }},
      {"operand", code::invalid_option,
       [=](places& p) { return call(p.half_view(), p.kept(), p.compressed.data(), tsenor::sparse24::operand(9)); }},
      {"sides", code::not_divisible,
       [=](places& p) {
         return call({p.halves.data(), 32, side}, {p.mask.data(), 32, side}, p.compressed.data());
       }},
      {"mask of more columns", code::invalid_shape,
       [=](places& p) {
         return call({p.halves.data(), 0, side}, {p.mask.data(), 0, 2 * side}, p.compressed.data());
       }},
      {"mask of none in a group", code::invalid_option,
       [=](places& p) {
         return call(p.half_view(), {p.compressed.data(), side, side}, p.compressed.data() + count);
       }},
  });
}

TEST(Contract, OfCompressToFloat8) {
  const auto call = [](places& p, const tsenor::matrix_view<const float>& w, tsenor::sparse24::scale by,
                       tsenor::sparse24::operand which = {}) {
    return tsenor::sparse24::compress(w, p.kept(), which, by, p.compressed.data());
  };
  // Half of each group of four, in both directions.
  places p;
  for (std::int64_t k = 0; k < count; ++k) p.mask[k] = (k + k / side) % 4 < 2;
  ASSERT_TRUE(call(p, p.view(), {p.norms.data(), true}, tsenor::sparse24::operand::transposed).ok());
  expect_refused({
      {"scale null", code::invalid_pointer, [=](places& q) { return call(q, q.view(), {}); }},
      {"scale misaligned", code::invalid_pointer,
       [=](places& q) {
         return call(q, q.view(), {one_byte_on(q.norms.data()), false});
       }},
      {"scale in the operand", code::overlapping_buffers,
       [=](places& q) {
         return call(q, q.view(), {inside<float>(q.compressed.data() + 64), false});
       }},
      {"scales of rows in the operand", code::overlapping_buffers,
       [=](places& q) {
         return call(q, q.view(), {inside<float>(q.compressed.data()), true});
       }},
      {"rows", code::invalid_shape,
       [=](places& q) {
         return call(q, {q.weights.data(), -side, side}, {});
       }},
  });
}

TEST(Contract, OfDecompress) {
  const auto call = [](const void* from, std::int64_t rows, std::int64_t cols, tsenor::float16* dense) {
    return tsenor::sparse24::decompress(from, rows, cols, dense);
  };
  expect_refused({
      {"compressed null", code::invalid_pointer, [=](places& p) { return call(nullptr, side, side, p.halves.data()); }},
      {"dense null", code::invalid_pointer, [=](places& p) { return call(p.compressed.data(), side, side, nullptr); }},
      {"dense misaligned", code::invalid_pointer,
       [=](places& p) { return call(p.compressed.data(), side, side, one_byte_on(p.halves.data())); }},
      {"dense is compressed", code::overlapping_buffers,
       [=](places& p) { return call(p.halves.data() + 8, side, side, p.halves.data()); }},
      {"rows negative", code::invalid_shape,
       [=](places& p) { return call(p.compressed.data(), -side, side, p.halves.data()); }},
      {"too large", code::invalid_shape,
       [=](places& p) { return call(p.compressed.data(), too_many, side, p.halves.data()); }},
      {"sides", code::not_divisible, [=](places& p) { return call(p.compressed.data(), side, 32, p.halves.data()); }},
  });
}

TEST(Contract, OfCompressMvue) {
  constexpr std::int64_t most = std::int64_t(65535) * 128;
  const auto call = [](places& p, const tsenor::sparse24::random_state& random, std::int64_t tokens = side) {
    const auto past = reinterpret_cast<std::uintptr_t>(p.compressed.data()) % 16;  // as vectors begin somewhere
    const matrix_view<const tsenor::float16> gradient{p.halves.data(), tokens, side};
    return tsenor::sparse24::compress_mvue(gradient, p.compressed.data() + (16 - past) % 16, random);
  };
  expect_refused({
      {"offset", code::invalid_option,
       [=](places& p) {
         return call(p, {1, 6});
       }},
      {"seed misaligned", code::invalid_pointer,
       [=](places& p) {
         return call(p, {1, 0, one_byte_on(inside<std::int64_t>(p.weights.data())), nullptr});
       }},
      {"seed in the operand", code::overlapping_buffers,
       [=](places& p) {
         return call(p, {1, 0, inside<std::int64_t>(p.compressed.data() + 64), nullptr});
       }},
      {"offset in the operand", code::overlapping_buffers,
       [=](places& p) {
         return call(p, {1, 0, nullptr, inside<std::int64_t>(p.compressed.data() + 64)});
       }},
      {"tokens", code::invalid_shape, [=](places& p) { return call(p, {}, most + side); }},
  });
}

}  // namespace
}  // namespace tsenor_test
