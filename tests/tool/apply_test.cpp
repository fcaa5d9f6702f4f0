// tsenor apply: masks onto weights; with mask it does what prune does.
#include "tool_test.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;

std::vector<tensor> model() {
  return {{"a.weight", "F32", "[8,16]", bytes_of(gaussian<float>(128, 1))},
          {"bias", "F32", "[16]", bytes_of(gaussian<float>(16, 2))},
          {"b.weight", "F16", "[16,16]", bytes_of(small_floats(256, 3))},
          {"mlp.experts.up", "BF16", "[2,8,8]", bytes_of(small_floats(128, 4))}};
}

class Apply : public ToolTest {
 protected:
  Apply() { write("in.safetensors", file_of(model())); }
  outcome apply(const std::vector<tensor>& masks) {
    return run({"apply", path("in.safetensors"), write("masks.safetensors", file_of(masks)), path("out.safetensors"),
                "--json"});
  }
};

TEST_F(Apply, WithMaskDoesWhatPruneDoes) {
  ASSERT_EQ(run({"mask", path("in.safetensors"), path("masks.safetensors"), "--pattern", "4:8"}).exit_code, 0);
  ASSERT_EQ(run({"check", path("masks.safetensors"), "--pattern", "4:8", "--constraint", "exactly"}).exit_code, 0);
  const outcome o =
      run({"apply", path("in.safetensors"), path("masks.safetensors"), path("out.safetensors"), "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  ASSERT_EQ(run({"prune", path("in.safetensors"), path("pruned.safetensors"), "--pattern", "4:8"}).exit_code, 0);
  EXPECT_EQ(read("out.safetensors"), read("pruned.safetensors"));
  EXPECT_NE(read("out.safetensors"), read("in.safetensors"));
  ASSERT_EQ(json_lines(o).size(), 3u);
  EXPECT_EQ(json_lines(o)[0].at("kept"), 0.5);
  EXPECT_EQ(dense_in(o), (std::map<std::string, std::string>{{"bias", "there is no mask for it"}}));
}

TEST_F(Apply, WritesMasksAsBooleansOfTheSameNamesAndShapes) {
  ASSERT_EQ(run({"mask", path("in.safetensors"), path("masks.safetensors"), "--pattern", "4:8"}).exit_code, 0);
  const std::string file = read("masks.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  EXPECT_EQ((8 + length) % 8, 0u);
  const auto header = nlohmann::json::parse(file.substr(8, length));
  EXPECT_EQ(header.size(), 4u);
  EXPECT_EQ(header.at("__metadata__").at("format"), "pt");
  EXPECT_EQ(header.at("mlp.experts.up").at("dtype"), "BOOL");
  EXPECT_EQ(header.at("mlp.experts.up").at("shape"), (nlohmann::json{2, 8, 8}));
  EXPECT_EQ(file.find_first_not_of(std::string("\0\1", 2), 8 + length), std::string::npos);
  EXPECT_EQ(file.size(), 8 + length + 128 + 256 + 128);
}

TEST_F(Apply, TakesMasksOfBytes) {
  std::string mask;
  for (int k = 0; k < 128; ++k) mask += static_cast<char>(k % 3 == 0);
  const outcome o = apply({{"a.weight", "U8", "[8,16]", mask}});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const auto before = numbers_in<float>(model()[0].data);
  const auto after = numbers_in<float>(data_of(read("out.safetensors"), file_of(model()), model())[0]);
  for (std::size_t k = 0; k < 128; ++k) EXPECT_EQ(after[k], mask[k] ? before[k] : 0.f) << k;
}

TEST_F(Apply, NamesAllThatDoesNotFitAtOnce) {
  const outcome o = apply({{"a.weight", "U8", "[16,8]", std::string(128, '\1')},
                           {"b.weight", "F32", "[16,16]", std::string(1024, '\0')},
                           {"bias", "U8", "[16]", std::string(16, '\1')},
                           {"c.weight", "BOOL", "[4,4]", std::string(16, '\1')}});
  EXPECT_TRUE(fails_in_one_line(o, 3));
  for (const char* text : {"16 x 8", "8 x 16", "\"F32\"", "\"bias\"", "\"c.weight\" is not a tensor of IN"})
    EXPECT_NE(o.err.find(text), std::string::npos) << text << " is not in " << o.err;
  EXPECT_EQ(files(), (names{"in.safetensors", "masks.safetensors"}));
}

TEST_F(Apply, RefusesMasksThatAreNot0And1) {
  EXPECT_TRUE(fails_in_one_line(apply({{"a.weight", "U8", "[8,16]", std::string(127, '\1') + '\2'}}), 3));
  EXPECT_TRUE(fails_in_one_line(apply({}), 3));
  EXPECT_EQ(files(), (names{"in.safetensors", "masks.safetensors"}));
}

TEST_F(Apply, RefusesToWriteOnItsInputs) {
  const std::string masks = write("masks.safetensors", file_of({{"a.weight", "U8", "[8,16]", std::string(128, '\1')}}));
  for (const std::string& out : {path("in.safetensors"), masks})
    EXPECT_TRUE(fails_in_one_line(run({"apply", path("in.safetensors"), masks, out}), 2));
  EXPECT_EQ(read("in.safetensors"), file_of(model()));
}

TEST_F(Apply, WorksOnMatricesOfNumPy) {
  const auto weights = gaussian<double>(64, 9);
  const std::string file = npy("<f8", "(8, 8)", bytes_of(weights));
  const std::string in = write("w.npy", file);
  ASSERT_EQ(run({"mask", in, path("m.npy"), "--pattern", "2:4"}).exit_code, 0);
  ASSERT_EQ(run({"apply", in, path("m.npy"), path("out.npy")}).exit_code, 0);
  const std::string mask = read("m.npy"), out = read("out.npy");
  ASSERT_EQ(out.size(), file.size());
  const auto after = numbers_in<double>(out.substr(out.size() - 512));
  for (std::size_t k = 0; k < 64; ++k) EXPECT_EQ(after[k], mask[mask.size() - 64 + k] ? weights[k] : 0.) << k;
}

}  // namespace
}  // namespace tool_test
