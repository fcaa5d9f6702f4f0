// .safetensors in, pruned weights out.
#include "tool_test.hpp"
#include "tsenor/weight_types.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;
using nlohmann::json;

class Safetensors : public ToolTest {
 protected:
  void expect_refused(const std::string& why, const std::string& file, const names& options = {}) {
    write("in.safetensors", file);
    names arguments = {"prune", path("in.safetensors"), path("out.safetensors"), "--pattern", "2:4"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    EXPECT_TRUE(fails_in_one_line(run(arguments), 3)) << why;
    EXPECT_EQ(read("in.safetensors"), file) << why;
    EXPECT_EQ(files(), names{"in.safetensors"}) << why;
  }
};

// A model as small as it gets. The U8 tensor of odd size leaves all that follow it misaligned.
std::vector<tensor> model() {
  return {{"flags", "U8", "[3]", "abc"},
          {"layer.0.weight", "F32", "[8,16]", bytes_of(gaussian<float>(128, 21))},
          {"layer.0.bias", "F32", "[16]", bytes_of(gaussian<float>(16, 22))},
          {"layer.1.weight", "F16", "[16,8]", bytes_of(small_floats(128, 23))},
          {"layer.2.weight", "BF16", "[8,8]", bytes_of(small_floats(64, 24))},
          {"odd", "F32", "[5,8]", bytes_of(gaussian<float>(40, 25))},
          {"table", "I64", "[2,2]", bytes_of(gaussian<double>(4, 26))},
          {"nothing", "F32", "[0,8]", ""},
          {"scalar", "F64", "[]", bytes_of(gaussian<double>(1, 27))}};
}

// Every weight is the old one or +0; the kept ones form an N:M mask.
template <class Bits>
void expect_pruned(const std::string& before, const std::string& after, int rows, int cols, int n, int m) {
  const auto old_bits = numbers_in<Bits>(before), new_bits = numbers_in<Bits>(after);
  ASSERT_EQ(new_bits.size(), old_bits.size());
  std::string mask;
  for (std::size_t i = 0; i < old_bits.size(); ++i) {
    mask += static_cast<char>(new_bits[i] != 0);
    EXPECT_TRUE(new_bits[i] == old_bits[i] || new_bits[i] == 0) << "weight " << i;
  }
  EXPECT_NE(before, after);
  EXPECT_NE(mask.find('\1'), std::string::npos);
  EXPECT_EQ(violations(mask, rows, cols, n, m, false), 0);
}

TEST_F(Safetensors, PrunesItsMatricesAndChangesNothingElse) {
  const auto tensors = model();
  const std::string file = file_of(tensors);
  const std::string in = write("in.safetensors", file);
  const outcome o = run({"prune", in, path("out.safetensors"), "--pattern", "2:4", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(read("in.safetensors"), file);
  EXPECT_EQ(files(), (names{"in.safetensors", "out.safetensors"}));

  const auto after = data_of(read("out.safetensors"), file, tensors);
  expect_pruned<std::uint32_t>(tensors[1].data, after[1], 8, 16, 2, 4);
  expect_pruned<std::uint16_t>(tensors[3].data, after[3], 16, 8, 2, 4);
  expect_pruned<std::uint16_t>(tensors[4].data, after[4], 8, 8, 2, 4);
  for (const std::size_t untouched : {0, 2, 5, 6, 7, 8}) EXPECT_EQ(after[untouched], tensors[untouched].data);

  names solved;
  for (const json& j : json_lines(o)) {
    solved.push_back(j.at("name"));
    EXPECT_GT(j.at("kept").get<double>(), 0.5);
  }
  EXPECT_EQ(solved, (names{"layer.0.weight", "layer.1.weight", "layer.2.weight"}));
}

TEST_F(Safetensors, KeepsTheWeightsThatTheSameMatrixAsNpyKeeps) {
  const std::string weights = bytes_of(gaussian<float>(256, 31));
  const std::string in = write("in.safetensors", file_of({{"w", "F32", "[16,16]", weights}}));
  const std::string matrix = write("in.npy", npy("<f4", "(16, 16)", weights));
  ASSERT_EQ(run({"prune", in, path("out.safetensors"), "--pattern", "4:8"}).exit_code, 0);
  ASSERT_EQ(run({"mask", matrix, path("out.npy"), "--pattern", "4:8"}).exit_code, 0);
  const auto before = numbers_in<float>(weights);
  const std::string out = read("out.safetensors"), mask_file = read("out.npy");
  const auto pruned = numbers_in<float>(out.substr(out.size() - weights.size()));
  const std::string mask = mask_file.substr(mask_file.size() - before.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(pruned[i], mask[i] ? before[i] : 0.0f) << i;
}

TEST_F(Safetensors, ListsWhatStaysDenseAndWhy) {
  const std::string in = write("in.safetensors", file_of(model()));
  const names reasons = {"1-D: \"flags\", \"layer.0.bias\"", "no multiple of 4 (5 x 8)", "\"I64\"", "empty (0 x 8)",
                         "a scalar"};
  for (const names& run_with : std::vector<names>{{"inspect", in},
                                                  {"mask", in, path("masks.safetensors")},
                                                  {"prune", in, path("out.safetensors")},
                                                  {"check", in}}) {
    names arguments = run_with;
    arguments.insert(arguments.end(), {"--pattern", "2:4"});
    const outcome table = run(arguments);
    EXPECT_NE(table.out.find("stayed dense"), std::string::npos) << table.out << table.err;
    for (const std::string& reason : reasons)
      EXPECT_NE(table.out.find(reason), std::string::npos) << reason << " is not in\n" << table.out;
    arguments.push_back("--json");
    const outcome with_json = run(arguments);
    EXPECT_EQ(with_json.err, "");
    EXPECT_EQ(json_lines(with_json).size(), 3u) << with_json.out;
    EXPECT_EQ(dense_in(with_json).size(), 6u) << with_json.out;
  }
}

TEST_F(Safetensors, WritesNothingWhenNothingFits) {
  const std::vector<tensor> hopeless = {{"odd", "F32", "[5,8]", bytes_of(gaussian<float>(40, 25))},
                                        {"kernel", "F32", "[2,2,4,4]", bytes_of(gaussian<float>(64, 26))}};
  write("in.safetensors", file_of(hopeless));
  for (const char* command : {"mask", "prune"}) {
    const outcome o = run({command, path("in.safetensors"), path("out.safetensors"), "--pattern", "2:4"});
    EXPECT_TRUE(fails_in_one_line(o, 3));
    for (const char* reason : {"no multiple of 4 (5 x 8)", "4-D", "\"odd\"", "\"kernel\""})
      EXPECT_NE(o.err.find(reason), std::string::npos) << reason << " is not in " << o.err;
    EXPECT_EQ(files(), names{"in.safetensors"});
  }
  for (const char* command : {"inspect", "check"})
    EXPECT_TRUE(fails_in_one_line(run({command, path("in.safetensors"), "--pattern", "2:4"}), 3));
}

TEST_F(Safetensors, PrunesOddSidesWithPartialEdges) {
  const auto tensors = model();
  const std::string file = file_of(tensors);
  const std::string in = write("in.safetensors", file);
  const outcome o = run({"prune", in, path("out.safetensors"), "--pattern", "2:4", "--edge", "partial", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  expect_pruned<std::uint32_t>(tensors[5].data, data_of(read("out.safetensors"), file, tensors)[5], 5, 8, 2, 4);
  EXPECT_EQ(json_lines(o).size(), 4u);
}

TEST_F(Safetensors, PrunesOnlyWhatSelectMatches) {
  const auto tensors = model();
  const std::string file = file_of(tensors);
  const std::string in = write("in.safetensors", file);
  const outcome o =
      run({"prune", in, path("out.safetensors"), "--pattern", "2:4", "--select", "layer\\.[02]\\.weight$", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(o.err, "");
  EXPECT_EQ(dense_in(o).at("layer.1.weight"), "--select does not match the name");
  ASSERT_EQ(json_lines(o).size(), 2u);
  EXPECT_EQ(json_lines(o)[0].at("name"), "layer.0.weight");
  EXPECT_EQ(json_lines(o)[1].at("name"), "layer.2.weight");
  EXPECT_EQ(data_of(read("out.safetensors"), file, tensors)[3], tensors[3].data);
}

TEST_F(Safetensors, RefusesASelectionOfWhichNothingCanBePruned) {
  const std::string file = file_of(model());
  for (const char* select : {"odd", "table", "nothing", "bias", "scalar", "no such name"})
    expect_refused(select, file, {"--select", select});
}

TEST_F(Safetensors, RefusesFilesWithNothingToPrune) {
  expect_refused("no tensors", safetensors("{}", ""));
  expect_refused("only a vector", file_of({{"v", "F32", "[4]", std::string(16, '\0')}}));
  expect_refused("only integers", file_of({{"m", "I32", "[4,4]", std::string(64, '\0')}}));
}

TEST_F(Safetensors, EscapesNamesInWhatItPrints) {
  const std::string name = R"(two\nlines \"quoted\" \u001b[31m)";
  const std::string in = write("in.safetensors", file_of({{name, "F32", "[4,4]", bytes_of(gaussian<float>(16, 32))}}));
  const outcome table = run({"inspect", in, "--pattern", "2:4"});
  EXPECT_EQ(table.out.find('\033'), std::string::npos);
  EXPECT_NE(table.out.find("two\\nlines"), std::string::npos) << table.out;
  EXPECT_EQ(json_lines(run({"inspect", in, "--pattern", "2:4", "--json"})).at(0).at("name"),
            "two\nlines \"quoted\" \033[31m");
  EXPECT_TRUE(fails_in_one_line(run({"inspect", in, "--pattern", "3:5", "--select", "two"}), 3));
}

std::string one_tensor(const std::string& description, const std::string& data = std::string(64, '\0')) {
  return safetensors("{\"a\":" + description + "}", data);
}

TEST_F(Safetensors, RefusesFilesThatAreNotWholeOrLie) {
  const std::string data(64, '\0'), whole = one_tensor(R"({"dtype":"F32","shape":[4,4],"data_offsets":[0,64]})");
  for (std::size_t length = 0; length < whole.size(); ++length) expect_refused("truncated", whole.substr(0, length));
  expect_refused("bytes of no tensor", whole + "x");
  expect_refused("header length beyond the file", std::string(7, '\xff') + '\x7f' + "{}");
  expect_refused("largest header length", std::string(8, '\xff') + "{}");
  expect_refused("size", one_tensor(R"({"dtype":"F32","shape":[4,8],"data_offsets":[0,64]})"));
  expect_refused("dtype's size", one_tensor(R"({"dtype":"F16","shape":[4,4],"data_offsets":[0,64]})"));
  expect_refused("offsets beyond the file", one_tensor(R"({"dtype":"F32","shape":[4,8],"data_offsets":[0,128]})"));
  expect_refused("offsets backwards", one_tensor(R"({"dtype":"F32","shape":[4,4],"data_offsets":[64,0]})"));
  expect_refused("overflowing shape",
                 one_tensor(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,64]})"));
  expect_refused("overflow that wraps to the size",
                 one_tensor(R"({"dtype":"F32","shape":[4611686018427387908,4],"data_offsets":[0,64]})"));
  expect_refused("overflow hidden by a zero",
                 one_tensor(R"({"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]})", ""));
  expect_refused("hole", safetensors(R"({"a":{"dtype":"F32","shape":[4,2],"data_offsets":[32,64]}})", data));
  expect_refused("overlap", safetensors(R"({"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]},)"
                                        R"("b":{"dtype":"F32","shape":[4,2],"data_offsets":[32,64]}})",
                                        data));
  expect_refused("the same bytes twice", safetensors(R"({"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]},)"
                                                     R"("b":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})",
                                                     data));
  expect_refused("a tensor twice", safetensors(R"({"a":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]},)"
                                               R"("a":{"dtype":"F32","shape":[4,2],"data_offsets":[32,64]}})",
                                               data));
}

TEST_F(Safetensors, RefusesHeadersThatAreNoSuchObject) {
  const std::string data(64, '\0');
  for (const char* header : {"", "null", "[]", "{", "nonsense", "\"text\"", "{\"a\":1}", "{\"\xff\":1}", "{\"a\":NaN}"})
    expect_refused(header, safetensors(header, data));
  expect_refused("deep", safetensors(std::string(100000, '['), data));
  for (const char* description :
       {R"({"shape":[4,4],"data_offsets":[0,64]})", R"({"dtype":"F32","data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":[4,4]})", R"({"dtype":5,"shape":[4,4],"data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":16,"data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":[-4,-4],"data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":[4.0,4],"data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":[4,"4"],"data_offsets":[0,64]})",
        R"({"dtype":"F32","shape":[4,4],"data_offsets":[0]})",
        R"({"dtype":"F32","shape":[4,4],"data_offsets":[0,64,64]})",
        R"({"dtype":"F32","shape":[4,4],"data_offsets":[0,1e99]})",
        R"({"dtype":"F32","shape":[4,4],"data_offsets":[0,18446744073709551680]})"})
    expect_refused(description, one_tensor(description));
}

}  // namespace
}  // namespace tool_test
