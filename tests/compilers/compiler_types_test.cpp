// Weights of the compiler's own 16-bit types count as the library's of the same bits.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tsenor/prune/magnitude.hpp"
#include "tsenor/tsenor.hpp"
#if __has_include(<stdfloat>)
#include <stdfloat>
#endif

namespace {

constexpr tsenor::cpu_executor cpu{1};
constexpr std::int64_t side = 16;

// Bits of all kinds of numbers: subnormal, huge, infinite, NaN.
template <class T>
std::vector<T> weights() {
  std::vector<T> w(side * side);
  for (std::size_t k = 0; k < w.size(); k++) {
    const auto bits = static_cast<std::uint16_t>(k * 40503);
    std::memcpy(&w[k], &bits, sizeof bits);
  }
  return w;
}

struct result {
  std::vector<std::uint8_t> mask, by_rows;
  std::vector<char> pruned, applied, kept_by_rows;
};

template <class T>
std::vector<char> bytes_of(const std::vector<T>& x) {
  std::vector<char> bytes(x.size() * sizeof(T));
  std::memcpy(bytes.data(), x.data(), bytes.size());
  return bytes;
}

template <class T>
result solve() {
  const std::vector<T> w = weights<T>();
  std::vector<std::uint8_t> mask(w.size()), by_rows(w.size());
  std::vector<T> pruned(w.size()), applied(w.size()), kept_by_rows(w.size());
  const tsenor::matrix_view<const T> view(w.data(), side, side);
  tsenor::mask_outputs<T> out;
  out.mask = mask.data();
  out.pruned = pruned.data();
  EXPECT_TRUE((tsenor::find_mask<4, 8>(cpu, view, out).ok()));
  EXPECT_TRUE(tsenor::apply_mask(cpu, view, {mask.data(), side, side}, {applied.data(), side, side}).ok());
  tsenor::prune::sparsity rows;
  rows.structure = tsenor::prune::structure::row_wise;
  const tsenor::prune::outputs<T> to{kept_by_rows.data(), by_rows.data()};
  EXPECT_TRUE(tsenor::prune::magnitude(cpu, tsenor::prune::static_pattern<4, 8>{}, view, to, rows).ok());
  return {mask, by_rows, bytes_of(pruned), bytes_of(applied), bytes_of(kept_by_rows)};
}

template <class T, class Same>
void expect_the_same() {
  const result got = solve<T>(), expected = solve<Same>();
  EXPECT_EQ(got.mask, expected.mask);
  EXPECT_EQ(got.by_rows, expected.by_rows);
  EXPECT_EQ(got.pruned, expected.pruned);
  EXPECT_EQ(got.applied, expected.pruned);
  EXPECT_EQ(got.kept_by_rows, expected.kept_by_rows);
}

#if defined(__FLT16_MANT_DIG__)
TEST(CompilerTypes, Float16) { expect_the_same<_Float16, tsenor::float16>(); }
#endif
#if defined(__BFLT16_MANT_DIG__) || (__clang_major__ + 0 >= 15 && defined(__SSE2__))
TEST(CompilerTypes, Bfloat16) { expect_the_same<__bf16, tsenor::bfloat16>(); }
#endif
#if defined(__STDCPP_FLOAT16_T__)
TEST(CompilerTypes, StandardFloat16) { expect_the_same<std::float16_t, tsenor::float16>(); }
#endif
#if defined(__STDCPP_BFLOAT16_T__)
TEST(CompilerTypes, StandardBfloat16) { expect_the_same<std::bfloat16_t, tsenor::bfloat16>(); }
#endif

// So that a compiler without such types passes too.
TEST(CompilerTypes, OwnTypesGiveTheSameTwice) { expect_the_same<tsenor::float16, tsenor::float16>(); }

}  // namespace
