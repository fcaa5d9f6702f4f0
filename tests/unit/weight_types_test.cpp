// Every bit pattern of the small weight types against an independent formula.
#include "tsenor/weight_types.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "small_floats.hpp"

namespace tsenor_test {
namespace {

template <class T>
class WeightTypes : public testing::Test {};

using small_types = testing::Types<tsenor::float16, tsenor::bfloat16, tsenor::float8_e4m3, tsenor::float8_e5m2>;
TYPED_TEST_SUITE(WeightTypes, small_types);

TYPED_TEST(WeightTypes, DecodesEveryBitPattern) {
  using word = decltype(TypeParam::bits);
  for (std::uint32_t bits = 0; bits <= std::numeric_limits<word>::max(); ++bits) {
    const double expected = decode_by_formula(bits, format_of<TypeParam>::value);

    const float actual = tsenor::detail::to_arithmetic(TypeParam{static_cast<word>(bits)});

    ASSERT_EQ(std::isnan(actual), std::isnan(expected)) << "bits " << bits;
    if (std::isnan(expected)) continue;
    ASSERT_EQ(double(actual), expected) << "bits " << bits;
    ASSERT_EQ(std::signbit(actual), std::signbit(expected)) << "bits " << bits;
  }
}

TYPED_TEST(WeightTypes, HasTheSizeOfItsBits) {
  EXPECT_EQ(sizeof(TypeParam), sizeof(TypeParam::bits));
  EXPECT_EQ(alignof(TypeParam), sizeof(TypeParam::bits));
}

// Every number of E4M3, what lies half-way between two, and the floats next to that.
TEST(ToE4m3, RoundsToTheNearestAndOfTwoToTheEven) {
  for (int bits = 0; bits < 0x7e; ++bits) {
    const double low = decode_by_formula(bits, format_of<tsenor::float8_e4m3>::value);
    const double high = decode_by_formula(bits + 1, format_of<tsenor::float8_e4m3>::value);
    const auto middle = static_cast<float>((low + high) / 2);
    const int even = bits % 2 == 0 ? bits : bits + 1;
    for (const int sign : {1, -1}) {
      const int negative = sign < 0 ? 0x80 : 0;
      EXPECT_EQ(tsenor::to_e4m3(static_cast<float>(sign * low)).bits, negative | bits);
      EXPECT_EQ(tsenor::to_e4m3(sign * middle).bits, negative | even) << middle;
      EXPECT_EQ(tsenor::to_e4m3(sign * std::nextafter(middle, 0.f)).bits, negative | bits) << middle;
      EXPECT_EQ(tsenor::to_e4m3(sign * std::nextafter(middle, 1e9f)).bits, negative | (bits + 1)) << middle;
    }
  }
}

TEST(ToE4m3, EndsAtTheLargest) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float x : {448.f, 449.f, 464.f, 465.f, 1e30f, std::numeric_limits<float>::max(), infinity}) {
    EXPECT_EQ(tsenor::to_e4m3(x).bits, 0x7e) << x;
    EXPECT_EQ(tsenor::to_e4m3(-x).bits, 0xfe) << x;
  }
  for (const float sign : {1.f, -1.f})
    EXPECT_EQ(tsenor::to_e4m3(std::copysign(std::numeric_limits<float>::quiet_NaN(), sign)).bits, 0x7f);
  EXPECT_EQ(tsenor::to_e4m3(-0.f).bits, 0x80);
  EXPECT_EQ(tsenor::to_e4m3(std::numeric_limits<float>::denorm_min()).bits, 0);
}

// Values from the formats' specifications, so that the formula itself is not taken on trust.
TEST(DecodeByFormula, GivesTheSpecifiedExtremes) {
  EXPECT_EQ(decode_by_formula(0x7bff, format_of<tsenor::float16>::value), 65504.0);
  EXPECT_EQ(decode_by_formula(0x0001, format_of<tsenor::float16>::value), std::ldexp(1.0, -24));
  EXPECT_EQ(decode_by_formula(0x7f7f, format_of<tsenor::bfloat16>::value), 3.3895313892515355e38);
  EXPECT_EQ(decode_by_formula(0x7e, format_of<tsenor::float8_e4m3>::value), 448.0);
  EXPECT_EQ(decode_by_formula(0x01, format_of<tsenor::float8_e4m3>::value), std::ldexp(1.0, -9));
  EXPECT_TRUE(std::isnan(decode_by_formula(0x7f, format_of<tsenor::float8_e4m3>::value)));
  EXPECT_EQ(decode_by_formula(0x7b, format_of<tsenor::float8_e5m2>::value), 57344.0);
  EXPECT_TRUE(std::isinf(decode_by_formula(0xfc, format_of<tsenor::float8_e5m2>::value)));
}

TEST(Encoded, RoundsToTheNearestValue) {
  EXPECT_EQ(decoded(encoded<tsenor::float16>(1.0004)), 1.0);
  EXPECT_EQ(decoded(encoded<tsenor::float8_e4m3>(-1000.0)), -448.0);
  EXPECT_EQ(decoded(encoded<tsenor::float8_e5m2>(1.2)), 1.25);
}

}  // namespace
}  // namespace tsenor_test
