// tsenor prune on the CPU: what it keeps, what it leaves alone, and what it refuses.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tool_test.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;
using floats = std::vector<float>;

// Of a row's N:M groups the N largest of |w| times the input's norm.
floats best_of_rows(const floats& weights, const floats& norms, int n, int m) {
  floats pruned(weights.size());
  for (std::size_t first = 0; first < weights.size(); first += static_cast<std::size_t>(m)) {
    std::vector<std::size_t> order(static_cast<std::size_t>(m));
    for (std::size_t k = 0; k < order.size(); ++k) order[k] = first + k;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::fabs(weights[a]) * norms[a % norms.size()] > std::fabs(weights[b]) * norms[b % norms.size()];
    });
    for (int k = 0; k < n; ++k)
      pruned[order[static_cast<std::size_t>(k)]] = weights[order[static_cast<std::size_t>(k)]];
  }
  return pruned;
}

std::string mask_of(const floats& pruned) {
  std::string mask;
  for (const float w : pruned) mask += static_cast<char>(w != 0);
  return mask;
}

// Two linear layers of 16 inputs, one of them in 16 bits, and what is no matrix.
std::vector<tensor> model() {
  return {{"a.weight", "F32", "[8,16]", bytes_of(gaussian<float>(128, 1))},
          {"bias", "F32", "[16]", bytes_of(gaussian<float>(16, 2))},
          {"b.weight", "F16", "[16,16]", bytes_of(small_floats(256, 3))}};
}

// Of the inputs: 1, 2, 3, ...
floats norms() {
  floats values(16);
  for (std::size_t k = 0; k < 16; ++k) values[k] = static_cast<float>(k + 1);
  return values;
}

std::vector<tensor> grams() {
  floats gram(256);
  for (std::size_t k = 0; k < 16; ++k) gram[17 * k] = norms()[k] * norms()[k];
  return {{"a.weight", "F32", "[16,16]", bytes_of(gram)}, {"b.weight", "F32", "[16,16]", bytes_of(gram)}};
}

class PruneTool : public ToolTest {
 protected:
  PruneTool() { write("in.safetensors", file_of(model())); }
  outcome prune(const std::string& out, const std::string& method, const std::string& pattern, const names& more) {
    names arguments = {"prune", path("in.safetensors"), path(out), "--method", method, "--pattern", pattern};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  floats pruned(const std::string& name) {
    return numbers_in<float>(data_of(read(name), file_of(model()), model())[0]);
  }
  void expect_refused(int code, const outcome& o) {
    EXPECT_TRUE(fails_in_one_line(o, code));
    for (const std::string& name : files()) EXPECT_TRUE(name == "in.safetensors" || name == "gram.safetensors") << name;
  }
};

TEST_F(PruneTool, MagnitudeKeepsTheLargestAndChangesNothingElse) {
  const outcome o = prune("out.safetensors", "magnitude", "2:4", {"--structure", "row-wise", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const auto before = model();
  const auto after = data_of(read("out.safetensors"), file_of(before), before);
  EXPECT_EQ(numbers_in<float>(after[0]), best_of_rows(numbers_in<float>(before[0].data), {1}, 2, 4));
  EXPECT_EQ(after[1], before[1].data);
  const auto old_bits = numbers_in<std::uint16_t>(before[2].data), new_bits = numbers_in<std::uint16_t>(after[2]);
  for (std::size_t k = 0; k < old_bits.size(); ++k) EXPECT_TRUE(new_bits[k] == old_bits[k] || new_bits[k] == 0) << k;
  EXPECT_EQ(std::count(new_bits.begin(), new_bits.end(), 0), 128);
  const auto lines = json_lines(o);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("name"), "a.weight");
  EXPECT_EQ(lines[0].at("structure"), "row-wise");
  EXPECT_EQ(lines[0].at("device"), "cpu");
  EXPECT_GE(lines[0].at("seconds").get<double>(), 0);
}

TEST_F(PruneTool, WandaWeighsByTheNormsOfTheInputs) {
  const names gram = {"--structure", "row-wise", "--gram", write("gram.safetensors", file_of(grams()))};
  const outcome o = prune("out.safetensors", "wanda", "4:8", gram);
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(pruned("out.safetensors"), best_of_rows(numbers_in<float>(model()[0].data), norms(), 4, 8));
}

TEST_F(PruneTool, CountsDeadInputs) {
  auto sums = grams();
  auto gram = numbers_in<float>(sums[0].data);
  gram[0] = 0;
  gram[17] = std::numeric_limits<float>::quiet_NaN();
  sums[0].data = bytes_of(gram);
  const outcome o =
      prune("out.safetensors", "wanda", "2:4", {"--gram", write("gram.safetensors", file_of(sums)), "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(json_lines(o)[0].at("dead_inputs"), 2);
  EXPECT_EQ(json_lines(o)[1].at("dead_inputs"), 0);
}

TEST_F(PruneTool, WritesAFileForEachPatternAndStructure) {
  const outcome o = prune("{pattern}-{structure}.safetensors", "magnitude", "2:4,4:8",
                          {"--structure", "transposable,published,row-then-column"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  for (const char* structure : {"transposable", "published", "row-then-column"})
    for (const int n : {2, 4}) {
      const std::string name = std::to_string(n) + "x" + std::to_string(2 * n) + "-" + structure + ".safetensors";
      const bool exactly = std::string(structure) == "transposable";
      EXPECT_EQ(violations(mask_of(pruned(name)), 8, 16, n, 2 * n, exactly), 0) << name;
    }
  EXPECT_EQ(files().size(), 7u);
}

TEST_F(PruneTool, SkipsWhatHasNoGramMatrix) {
  const names gram = {"--gram", write("gram.safetensors", file_of({grams()[0]}))};
  const outcome o = prune("out.safetensors", "wanda", "2:4", gram);
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_NE(o.out.find("no gram matrix in the file of --gram: \"b.weight\""), std::string::npos) << o.out;
  EXPECT_EQ(data_of(read("out.safetensors"), file_of(model()), model())[2], model()[2].data);
}

TEST_F(PruneTool, RefusesWrongUsage) {
  expect_refused(2, prune("out.safetensors", "wanda", "2:4", {}));
  expect_refused(2, prune("out.safetensors", "best", "2:4", {}));
  expect_refused(2, prune("out.safetensors", "magnitude", "5:4", {}));
  expect_refused(2, prune("out.safetensors", "magnitude", "2:4,4:8", {}));
  expect_refused(2, prune("out.safetensors", "magnitude", "2:4", {"--structure", "row-wise,transposable"}));
  expect_refused(2, prune("out.npy", "magnitude", "2:4", {}));
  expect_refused(2, prune("in.safetensors", "magnitude", "2:4", {}));
  expect_refused(
      2, prune("gram.safetensors", "magnitude", "2:4", {"--gram", write("gram.safetensors", file_of(grams()))}));
  EXPECT_EQ(read("in.safetensors"), file_of(model()));
}

TEST_F(PruneTool, RefusesFilesThatDoNotFit) {
  expect_refused(3, prune("out.safetensors", "wanda", "2:4", {"--gram", path("missing.safetensors")}));
  expect_refused(3, prune("out.safetensors", "magnitude", "16:32", {}));
  expect_refused(3, prune("out.safetensors", "magnitude", "2:4", {"--select", "bias"}));
  const tensor small = {"a.weight", "F32", "[8,8]", bytes_of(floats(64))};
  const std::string file = file_of({small});
  expect_refused(
      3, prune("out.safetensors", "wanda", "2:4", {"--gram", write("gram.safetensors", file), "--select", "a"}));
  write("gram.safetensors", file.substr(0, file.size() - 1));
  expect_refused(3, prune("out.safetensors", "wanda", "2:4", {"--gram", path("gram.safetensors")}));
}

TEST_F(PruneTool, SaysThatAMethodNeedsAGpu) {
  const names gram = {"--gram", write("gram.safetensors", file_of(grams()))};
  for (const char* method : {"sparsegpt", "alps"}) {
    const outcome o = prune("out.safetensors", method, "2:4", gram);
    expect_refused(4, o);
    EXPECT_NE(o.err.find("needs a CUDA device"), std::string::npos) << o.err;
  }
}

TEST_F(PruneTool, PrunesByMagnitudeWhereNoInputWasActiveAndSaysSo) {
  auto sums = grams();
  sums[0].data = bytes_of(floats(256));
  const std::string gram = write("gram.safetensors", file_of(sums));
  for (const char* structure : {"row-wise", "transposable"}) {
    const outcome o = prune("out.safetensors", "wanda", "2:4", {"--gram", gram, "--structure", structure, "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    ASSERT_EQ(prune("magnitude.safetensors", "magnitude", "2:4", {"--structure", structure}).exit_code, 0);
    EXPECT_EQ(pruned("out.safetensors"), pruned("magnitude.safetensors")) << structure;
    EXPECT_NE(o.out.find("no input of \\\"a.weight\\\" was active"), std::string::npos) << o.out;
  }
}

TEST_F(PruneTool, SaysWhereGramMatricesAreNoSumsOfSquares) {
  for (const float square : {std::numeric_limits<float>::quiet_NaN(), -1.f, std::numeric_limits<float>::infinity()}) {
    auto sums = grams();
    auto gram = numbers_in<float>(sums[0].data);
    gram[17] = square;
    sums[0].data = bytes_of(gram);
    const outcome o =
        prune("out.safetensors", "wanda", "2:4", {"--gram", write("gram.safetensors", file_of(sums)), "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_NE(o.out.find("gram matrix of \\\"a.weight\\\" has 1 entries"), std::string::npos) << o.out;
    EXPECT_EQ(o.out.find("gram matrix of \\\"b.weight\\\""), std::string::npos) << o.out;
  }
}

TEST_F(PruneTool, TakesTheGramMatrixOfAnArray) {
  floats gram(64);
  for (std::size_t k = 0; k < 8; ++k) gram[9 * k] = static_cast<float>(k + 1);
  const auto weights = gaussian<float>(64, 8);
  const std::string in = write("w.npy", npy("<f4", "(8, 8)", bytes_of(weights)));
  const names wanda = {"--method", "wanda", "--structure", "row-wise", "--pattern", "2:4", "--gram"};
  const auto run_with = [&](const std::string& from, const std::string& to, const std::string& file) {
    names arguments = {"prune", from, path(to)};
    arguments.insert(arguments.end(), wanda.begin(), wanda.end());
    arguments.push_back(file);
    return run(arguments);
  };
  const std::string array = write("g.npy", npy("<f4", "(8, 8)", bytes_of(gram)));
  const std::string file = write("g.safetensors", file_of({{"w", "F32", "[8,8]", bytes_of(gram)}}));
  const outcome o = run_with(in, "out.npy", array);
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const std::string out = read("out.npy");
  floats norms(8);
  for (std::size_t k = 0; k < 8; ++k) norms[k] = std::sqrt(gram[9 * k]);
  EXPECT_EQ(numbers_in<float>(out.substr(out.size() - 256)), best_of_rows(weights, norms, 2, 4));
  EXPECT_TRUE(fails_in_one_line(run_with(in, "o.npy", file), 2));
  EXPECT_TRUE(fails_in_one_line(run_with(path("in.safetensors"), "o.safetensors", array), 2));
}

TEST_F(PruneTool, CountsWeightsThatAreNotFinite) {
  auto tensors = model();
  auto weights = numbers_in<float>(tensors[0].data);
  weights[3] = std::numeric_limits<float>::quiet_NaN();
  weights[70] = -std::numeric_limits<float>::infinity();
  tensors[0].data = bytes_of(weights);
  write("in.safetensors", file_of(tensors));
  const outcome o = prune("out.safetensors", "magnitude", "2:4", {"--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(json_lines(o)[0].at("replaced"), 2);
  EXPECT_EQ(json_lines(o)[1].at("replaced"), 0);
  const outcome table = prune("out.safetensors", "magnitude", "2:4", {});
  EXPECT_NE(table.out.find("2 weights were NaN"), std::string::npos) << table.out;
}

floats transposed(const floats& values, std::size_t rows, std::size_t cols) {
  floats result(values.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) result[j * rows + i] = values[i * cols + j];
  return result;
}

TEST_F(PruneTool, PrunesWeightsThatAreStoredTransposed) {
  const floats weights = gaussian<float>(128, 1);  // [8, 16]
  const tensor stored = {"a.weight", "F32", "[16,8]", bytes_of(transposed(weights, 8, 16))};
  write("in.safetensors", file_of({stored}));
  const names more = {
      "--gram", write("gram.safetensors", file_of({grams()[0]})), "--structure", "row-wise", "--transposed", "a\\.w"};
  const outcome o = prune("out.safetensors", "wanda", "4:8", more);
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const floats after = numbers_in<float>(data_of(read("out.safetensors"), file_of({stored}), {stored})[0]);
  EXPECT_EQ(transposed(after, 16, 8), best_of_rows(weights, norms(), 4, 8));
}

TEST_F(PruneTool, SaysWhereTransposedSeemsToBeMissing) {
  const auto square = [](const std::string& name) {
    return tensor{name, "F32", "[16,16]", bytes_of(gaussian<float>(256, 4))};
  };
  const std::string in =
      write("gpt2.safetensors", file_of({square("h.0.attn.c_proj.weight"), square("h.0.up.weight")}));
  const auto says = [&](names more) {
    more.insert(more.begin(), {"prune", in, path("out.safetensors"), "--pattern", "2:4"});
    const outcome o = run(more);
    EXPECT_EQ(o.exit_code, 0) << o.err;
    return o.out.find("\"h.0.attn.c_proj.weight\" have names of layers that GPT-2 stores") != std::string::npos;
  };
  EXPECT_TRUE(says({"--structure", "row-wise"}));
  EXPECT_FALSE(says({}));
  EXPECT_FALSE(says({"--structure", "row-wise", "--transposed", "c_proj"}));
  auto sums = grams();
  sums[0].name = "h.0.attn.c_proj.weight";
  EXPECT_TRUE(says({"--method", "wanda", "--gram", write("gram.safetensors", file_of({sums[0]}))}));
}

TEST_F(PruneTool, StopsWhereGramMatricesFitTheOtherSide) {
  auto tensors = model();
  tensors[0].shape = "[16,8]";
  write("in.safetensors", file_of(tensors));
  const names gram = {"--gram", write("gram.safetensors", file_of(grams()))};
  const outcome o = prune("out.safetensors", "wanda", "2:4", gram);  // b.weight, which is square, would be wrong too
  expect_refused(3, o);
  for (const char* text : {"\"a.weight\" (16 x 8, gram 16 x 16)", "--transposed"})
    EXPECT_NE(o.err.find(text), std::string::npos) << text << " is not in " << o.err;
}

TEST_F(PruneTool, TakesAGramMatrixForEachOfABatch) {
  const floats weights = gaussian<float>(256, 6);
  const tensor experts = {"mlp.experts.up", "F32", "[2,8,16]", bytes_of(weights)};
  floats gram(512);
  for (std::size_t k = 0; k < 16; ++k) {
    gram[17 * k] = 1;
    gram[256 + 17 * k] = norms()[k] * norms()[k];
  }
  write("in.safetensors", file_of({experts}));
  const std::string file = write("gram.safetensors", file_of({{"mlp.experts.up", "F32", "[2,16,16]", bytes_of(gram)}}));
  const outcome o = prune("out.safetensors", "wanda", "4:8", {"--gram", file, "--structure", "row-wise"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const floats after = numbers_in<float>(data_of(read("out.safetensors"), file_of({experts}), {experts})[0]);
  const floats ones(16, 1.f), one(weights.begin(), weights.begin() + 128), two(weights.begin() + 128, weights.end());
  EXPECT_EQ(floats(after.begin(), after.begin() + 128), best_of_rows(one, ones, 4, 8));
  EXPECT_EQ(floats(after.begin() + 128, after.end()), best_of_rows(two, norms(), 4, 8));
}

}  // namespace
}  // namespace tool_test
