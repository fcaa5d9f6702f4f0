// Parts of the program that are easier to look at than its files: blocks, conversions.
#include <cmath>
#include <limits>

#include "convert.hpp"
#include "tool_test.hpp"

namespace tool_test {
namespace {

tool::tensor_entry entry(std::vector<std::uint64_t> shape) {
  tool::tensor_entry t;
  t.shape = std::move(shape);
  return t;
}

TEST(Blocks, CoverTheTensorInOrderCutBetweenTiles) {
  for (const auto& shape : std::vector<std::vector<std::uint64_t>>{{1, 1}, {8, 8}, {100, 30}, {3, 20, 7}, {2, 1, 500}})
    for (const int m : {1, 4, 7, 64})
      for (const std::int64_t limit : {1, 50, 300, 1 << 24}) {
        const tool::tensor_entry t = entry(shape);
        std::uint64_t end = 0;
        for (const tool::block& part : tool::blocks_of(t, m, limit)) {
          EXPECT_EQ(part.offset, end);
          EXPECT_EQ(part.cols, t.cols());
          const auto row = static_cast<std::int64_t>(part.offset) / t.cols() % t.rows();
          EXPECT_EQ(row % m, 0);
          EXPECT_TRUE(part.rows % m == 0 || row + part.rows == t.rows());
          EXPECT_TRUE(part.rows <= m || static_cast<std::int64_t>(part.size()) <= limit);
          end += part.size();
        }
        EXPECT_EQ(end, tool::checked_product(shape, 1));
      }
  EXPECT_TRUE(tool::blocks_of(entry({0, 8}), 4).empty());
  EXPECT_EQ(tool::matrices_of(entry({5, 4, 3})).size(), 5u);
}

tool::matrix matrix_of(const std::vector<double>& values) {
  const std::string bytes = bytes_of(values);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {tool::weight_type::f64, 1, static_cast<std::int64_t>(values.size()), {data, data + bytes.size()}};
}

TEST(Convert, BringsDoublesIntoTheRangeOfFloats) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double scale : {1e-300, 1e-30, 1., 1e30, 1e300}) {
    const tool::float_weights w = tool::to_floats(matrix_of({scale, -scale / 3, 0, inf, NAN, scale / 1000}));
    EXPECT_FLOAT_EQ(w.values[1] / w.values[0], -1.f / 3) << scale;
    EXPECT_FLOAT_EQ(w.values[5] / w.values[0], 1e-3f) << scale;
    EXPECT_NEAR(std::ldexp(double(w.values[0]), w.exponent) / scale, 1, 1e-7) << scale;
    EXPECT_TRUE(std::isinf(w.values[3]));
    EXPECT_TRUE(std::isnan(w.values[4]));
    EXPECT_TRUE(std::isfinite(w.values[0] * w.values[0]) && w.values[0] * w.values[0] > 0);
  }
}

// Every float16 and every bfloat16 comes back as it was.
TEST(Convert, KeepsNumbersOfSixteenBits) {
  for (const auto type : {tool::weight_type::f16, tool::weight_type::bf16}) {
    std::vector<std::uint16_t> bits(1 << 16);
    for (std::size_t k = 0; k < bits.size(); ++k) bits[k] = static_cast<std::uint16_t>(k);
    const std::string bytes = bytes_of(bits);
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    tool::matrix m{type, 256, 256, {data, data + bytes.size()}};
    tool::float_weights w = tool::to_floats(m);
    tool::matrix back = m;
    tool::from_floats(w, back);
    for (std::size_t k = 0; k < bits.size(); ++k) {
      if (std::isnan(w.values[k])) continue;
      EXPECT_EQ(std::memcmp(&back.data[2 * k], &m.data[2 * k], 2), 0) << k;
    }
  }
}

}  // namespace
}  // namespace tool_test
