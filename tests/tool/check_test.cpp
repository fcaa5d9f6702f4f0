// tsenor check: the zeros of a file against a pattern.
#include <limits>

#include "tool_test.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;
using floats = std::vector<float>;

// 2:4 in rows and columns: two kept weights side by side, shifted in every second pair of rows.
floats obedient(int rows, int cols) {
  floats w(static_cast<std::size_t>(rows * cols));
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j)
      if ((j / 2 + i / 2) % 2 == 0) w[static_cast<std::size_t>(i * cols + j)] = static_cast<float>(i + j + 1);
  return w;
}

class Check : public ToolTest {
 protected:
  outcome check(const floats& w, names more = {}) {
    write("in.safetensors", file_of({{"up.weight", "F32", "[8,12]", bytes_of(w)},
                                     {"lm_head.weight", "F32", "[8,12]", bytes_of(gaussian<float>(96, 3))}}));
    names arguments = {"check", path("in.safetensors"), "--pattern", "2:4", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(Check, AcceptsAFileThatHasThePattern) {
  const outcome o = check(obedient(8, 12));
  EXPECT_EQ(o.exit_code, 0) << o.err;
  ASSERT_EQ(json_lines(o).size(), 1u) << o.out;
  EXPECT_EQ(json_lines(o)[0].at("violations"), 0);
  EXPECT_EQ(json_lines(o)[0].at("zeros"), 0.5);
  EXPECT_EQ(json_lines(o)[0].at("first"), nullptr);
  EXPECT_EQ(dense_in(o).count("lm_head.weight"), 1u);
  EXPECT_NE(run({"check", path("in.safetensors"), "--pattern", "2:4"}).out.find("0 of 1 tensors break"),
            std::string::npos);
}

TEST_F(Check, FindsTheOneWeightThatBreaksIt) {
  for (const float w :
       {1e-6f, -1e-30f, 1e-45f, std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    floats weights = obedient(8, 12);
    ASSERT_EQ(weights[5 * 12 + 10], 0.f);
    weights[5 * 12 + 10] = w;
    const outcome o = check(weights);
    EXPECT_EQ(o.exit_code, 1) << w;
    EXPECT_EQ(o.err, "");
    EXPECT_EQ(json_lines(o).at(0).at("broken_rows"), 1) << w;
    EXPECT_EQ(json_lines(o).at(0).at("broken_cols"), 1) << w;
    EXPECT_EQ(json_lines(o).at(0).at("first"), (nlohmann::json{4, 8})) << w;
    EXPECT_EQ(json_lines(o).at(0).at("not_finite"), w == w && w > -1 ? 0 : 1) << w;
  }
}

TEST_F(Check, TakesNegativeZeroForZero) {
  floats weights = obedient(8, 12);
  for (float& w : weights)
    if (w == 0) w = -0.f;
  EXPECT_EQ(check(weights).exit_code, 0);
}

TEST_F(Check, AsksForRowsAloneWhereThatIsTheStructure) {
  floats weights(96);
  for (std::size_t k = 0; k < weights.size(); ++k) weights[k] = k % 12 % 4 < 2 ? 1.f : 0.f;
  EXPECT_EQ(check(weights).exit_code, 1);
  EXPECT_EQ(check(weights, {"--structure", "row-wise"}).exit_code, 0);
  EXPECT_EQ(check(weights, {"--structure", "row-wise", "--transposed", "up"}).exit_code, 1);
  EXPECT_EQ(check(weights, {"--structure", "row-wise", "--transposed", "down"}).exit_code, 0);
}

TEST_F(Check, AsksForExactlyNWhenToldTo) {
  floats weights = obedient(8, 12);
  weights[0] = 0;
  EXPECT_EQ(check(weights).exit_code, 0);
  const outcome o = check(weights, {"--constraint", "exactly"});
  EXPECT_EQ(o.exit_code, 1);
  EXPECT_EQ(json_lines(o).at(0).at("violations"), 2);
}

TEST_F(Check, KnowsTheZerosOfAllTypes) {
  const struct {
    const char* type;
    std::size_t bytes;
  } types[] = {{"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F16", 2}, {"BF16", 2}, {"F32", 4}, {"F64", 8}, {"BOOL", 1}};
  for (const auto& t : types) {
    std::string data;
    const bool sign = std::string(t.type) != "BOOL";  // negative zeros, where there are some
    for (const float w : obedient(4, 4))
      data += w != 0 ? std::string(t.bytes - 1, '\0') + '\1' : std::string(t.bytes - 1, '\0') + (sign ? '\x80' : '\0');
    write("in.safetensors", file_of({{"w", t.type, "[4,4]", data}}));
    EXPECT_EQ(run({"check", path("in.safetensors"), "--pattern", "2:4"}).exit_code, 0) << t.type;
    write("in.safetensors", file_of({{"w", t.type, "[4,4]", std::string(data.size(), '\1')}}));
    EXPECT_EQ(run({"check", path("in.safetensors"), "--pattern", "2:4"}).exit_code, 1) << t.type;
  }
}

TEST_F(Check, TakesBytesForMasksWhereNothingElseIsThere) {
  std::string mask;
  for (const float w : obedient(8, 12)) mask += static_cast<char>(w != 0);
  const tensor bytes = {"up.weight", "U8", "[8,12]", mask};
  const std::string masks = write("masks.safetensors", file_of({bytes, {"down.weight", "BOOL", "[8,12]", mask}}));
  const outcome o = run({"check", masks, "--pattern", "2:4", "--json"});
  EXPECT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(json_lines(o).size(), 2u) << o.out;
  EXPECT_EQ(run({"check", masks, "--pattern", "1:4"}).exit_code, 1);

  const std::string model =
      write("model.safetensors", file_of({bytes, {"down.weight", "F32", "[8,12]", bytes_of(obedient(8, 12))}}));
  EXPECT_EQ(dense_in(run({"check", model, "--pattern", "2:4", "--json"})).count("up.weight"), 1u);
  EXPECT_EQ(json_lines(run({"check", model, "--pattern", "2:4", "--json", "--select", "up"})).size(), 1u);
}

TEST_F(Check, LooksAtEveryMatrixOfABatch) {
  floats weights = obedient(24, 12);
  weights[16 * 12 + 2] = 1;
  write("in.safetensors", file_of({{"experts.up", "F32", "[3,8,12]", bytes_of(weights)}}));
  const outcome o = run({"check", path("in.safetensors"), "--pattern", "2:4", "--json"});
  EXPECT_EQ(o.exit_code, 1);
  EXPECT_EQ(json_lines(o).at(0).at("first"), (nlohmann::json{2, 0, 0}));
}

TEST_F(Check, RefusesWhatHoldsNothingToCheck) {
  write("in.safetensors", file_of({{"v", "F32", "[16]", bytes_of(floats(16))}}));
  EXPECT_TRUE(fails_in_one_line(run({"check", path("in.safetensors"), "--pattern", "2:4"}), 3));
}

TEST_F(Check, ChecksMatricesAndMasksOfNumPy) {
  write("w.npy", npy("<f4", "(8, 12)", bytes_of(obedient(8, 12))));
  EXPECT_EQ(run({"check", path("w.npy"), "--pattern", "2:4"}).exit_code, 0);
  EXPECT_EQ(run({"check", path("w.npy"), "--pattern", "1:4"}).exit_code, 1);
  ASSERT_EQ(run({"mask", path("w.npy"), path("m.npy"), "--pattern", "1:4"}).exit_code, 0);
  EXPECT_EQ(run({"check", path("m.npy"), "--pattern", "1:4", "--constraint", "exactly"}).exit_code, 0);
  EXPECT_EQ(run({"check", path("m.npy"), "--pattern", "2:4", "--constraint", "exactly"}).exit_code, 1);
}

}  // namespace
}  // namespace tool_test
