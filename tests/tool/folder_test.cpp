// Models in folders: shards, their index, and the files around them.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "temporary.hpp"
#include "tool_test.hpp"

namespace tool_test {
namespace {

namespace fs = std::filesystem;
using names = std::vector<std::string>;

const std::string a = "model-00001-of-00002.safetensors", b = "model-00002-of-00002.safetensors";

std::vector<tensor> first() {
  return {{"layers.0.up.weight", "F32", "[8,16]", bytes_of(gaussian<float>(128, 1))},
          {"model.embed_tokens.weight", "F32", "[16,16]", bytes_of(gaussian<float>(256, 2))}};
}
std::vector<tensor> second() {
  return {{"layers.1.up.weight", "BF16", "[8,16]", bytes_of(small_floats(128, 3))},
          {"norm.weight", "F32", "[16]", bytes_of(gaussian<float>(16, 4))}};
}
std::string index_of(const std::vector<std::pair<std::string, std::string>>& places) {
  nlohmann::json index = {{"metadata", {{"total_size", 1856}}}, {"weight_map", nlohmann::json::object()}};
  for (const auto& [name, file] : places) index["weight_map"][name] = file;
  return index.dump(2);
}
const std::vector<std::pair<std::string, std::string>> right = {
    {"layers.0.up.weight", a}, {"model.embed_tokens.weight", a}, {"layers.1.up.weight", b}, {"norm.weight", b}};

class Folder : public ToolTest {
 protected:
  Folder() {
    fs::create_directory(path("model"));
    write("model/" + a, file_of(first()));
    write("model/" + b, file_of(second()));
    write("model/model.safetensors.index.json", index_of(right));
    write("model/config.json", "{}");
    write("model/tokenizer.json", "[]");
  }
  outcome prune(names more = {}) {
    names arguments = {"prune", path("model"), path("out"), "--pattern", "4:8", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  names in(const std::string& folder) const {
    names found;
    for (const auto& entry : fs::directory_iterator(path(folder))) found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }
  void expect_refused(const std::string& text, int code = 3) {
    const outcome o = prune();
    EXPECT_TRUE(fails_in_one_line(o, code));
    EXPECT_NE(o.err.find(text), std::string::npos) << text << " is not in " << o.err;
    EXPECT_EQ(files(), names{"model"});
  }
};

TEST_F(Folder, IsPrunedAsOneModel) {
  const outcome o = prune();
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(files(), (names{"model", "out"}));
  EXPECT_EQ(in("out"), (names{"config.json", a, b, "model.safetensors.index.json", "tokenizer.json"}));
  for (const char* same : {"config.json", "model.safetensors.index.json", "tokenizer.json"})
    EXPECT_EQ(read("out/" + std::string(same)), read("model/" + std::string(same)));
  const auto one = data_of(read("out/" + a), file_of(first()), first());
  const auto two = data_of(read("out/" + b), file_of(second()), second());
  EXPECT_NE(one[0], first()[0].data);
  EXPECT_EQ(one[1], first()[1].data);
  EXPECT_NE(two[0], second()[0].data);
  EXPECT_EQ(two[1], second()[1].data);
  EXPECT_EQ(dense_in(o).size(), 2u);
  EXPECT_EQ(run({"check", path("out"), "--pattern", "4:8"}).exit_code, 0);
  EXPECT_EQ(run({"check", path("model"), "--pattern", "4:8"}).exit_code, 1);
}

TEST_F(Folder, GivesTheSameByItsIndexByMasksAndByItsShards) {
  ASSERT_EQ(prune().exit_code, 0);
  const std::string index = path("model/model.safetensors.index.json");
  ASSERT_EQ(run({"prune", index, path("by_index"), "--pattern", "4:8"}).exit_code, 0);
  ASSERT_EQ(run({"mask", path("model/"), path("masks.safetensors"), "--pattern", "4:8"}).exit_code, 0);
  ASSERT_EQ(run({"apply", path("model"), path("masks.safetensors"), path("by_masks/")}).exit_code, 0);
  for (const std::string& shard : {a, b}) {
    EXPECT_EQ(read("by_index/" + shard), read("out/" + shard));
    EXPECT_EQ(read("by_masks/" + shard), read("out/" + shard));
    ASSERT_EQ(run({"prune", path("model/" + shard), path(shard), "--pattern", "4:8"}).exit_code, 0);
    EXPECT_EQ(read(shard), read("out/" + shard));
  }
  EXPECT_EQ(in("by_index"), in("out"));
}

TEST_F(Folder, MayHoldOneFile) {
  fs::create_directory(path("one"));
  write("one/model.safetensors", file_of(first()));
  write("one/config.json", "{}");
  ASSERT_EQ(run({"prune", path("one"), path("out"), "--pattern", "4:8"}).exit_code, 0);
  EXPECT_EQ(in("out"), (names{"config.json", "model.safetensors"}));
}

TEST_F(Folder, LeavesOutOtherWeightsAndFoldersAndSaysSo) {
  write("model/pytorch_model.bin", "dense");
  write("model/consolidated.safetensors", file_of(first()));
  fs::create_directory(path("model/onnx"));
  const outcome o = prune();
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(in("out").size(), 5u);
  for (const char* name : {"pytorch_model.bin", "consolidated.safetensors", "onnx"})
    EXPECT_NE(o.out.find("{\"file\":\"" + std::string(name) + "\",\"left_out\""), std::string::npos) << o.out;
  EXPECT_NE(run({"check", path("out"), "--pattern", "4:8"}).out.find("0 of 2"), std::string::npos);
  EXPECT_NE(run({"inspect", path("model")}).out.find("weights that are not part of this model"), std::string::npos);
}

TEST_F(Folder, CopiesNoOtherFormOfTheWeights) {
  for (const char* other : {"rust_model.ot", "MODEL.SAFETENSORS", "model.onnx_data", "model.ckpt-7.data-00000-of-00001",
                            "model.safetensors.index.fp16.json", "weights.npy"})
    write("model/" + std::string(other), "{}");
  fs::create_symlink("circle", path("model/circle"));
  fs::create_symlink("nowhere", path("model/dangling"));
  for (const char* companion : {"README.pt.md", "tokenizer.model"}) write("model/" + std::string(companion), "t");
  const outcome o = prune();
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(in("out"), (names{"README.pt.md", "config.json", a, b, "model.safetensors.index.json", "tokenizer.json",
                              "tokenizer.model"}));
  EXPECT_NE(o.out.find(R"({"file":"rust_model.ot","left_out":)"), std::string::npos) << o.out;
}

TEST_F(Folder, MayBeCalledAsAFile) {
  fs::rename(path("model"), path("model.safetensors"));
  const outcome o = run({"prune", path("model.safetensors"), path("out"), "--pattern", "4:8"});
  EXPECT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(in("out").size(), 5u);
  for (const std::string& wrong : {std::string(), path("new.safetensors"), path("new.npy")})
    EXPECT_TRUE(fails_in_one_line(run({"prune", path("model.safetensors"), wrong, "--pattern", "4:8"}), 2)) << wrong;
}

TEST_F(Folder, FollowsSymbolicLinksAsCachesHaveThem) {
  fs::create_directory(path("cache"));
  for (const std::string& name : in("model")) fs::create_symlink(path("model/" + name), path("cache/" + name));
  ASSERT_EQ(run({"prune", path("cache"), path("out"), "--pattern", "4:8"}).exit_code, 0);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path("out/" + a))));
  EXPECT_EQ(read("model/" + a), file_of(first()));
}

TEST_F(Folder, MayHaveATensorThatItsIndexForgets) {
  write("model/model.safetensors.index.json", index_of({right[0], right[1], right[3]}));
  const outcome o = prune();
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(dense_in(o).at("layers.1.up.weight"), "in a shard, but not in the index (--select overrides)");
}

TEST_F(Folder, RefusesAnIndexThatContradictsItsShardsAndNamesAllOfIt) {
  const auto with = [&](std::vector<std::pair<std::string, std::string>> places) {
    write("model/model.safetensors.index.json", index_of(places));
  };
  auto places = right;
  places.emplace_back("lost.weight", a);
  places[0].second = b;
  with(places);
  expect_refused("\"lost.weight\" should be in");
  expect_refused("\"layers.0.up.weight\" should be in \"" + b + "\" but is in \"" + a + "\"");
  places = right;
  places.emplace_back("x", "model-00003.safetensors");
  places.emplace_back("y", "model-00004.safetensors");
  with(places);
  expect_refused("model-00003.safetensors\" does not exist");
  expect_refused("model-00004.safetensors");
}

TEST_F(Folder, RefusesATensorThatLiesInTwoShards) {
  auto twice = second();
  twice.push_back(first()[0]);
  write("model/" + b, file_of(twice));
  expect_refused("\"layers.0.up.weight\" is both in");
}

TEST_F(Folder, RefusesIndicesThatAreNone) {
  for (const char* index :
       {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}", "{\"weight_map\":{\"a\":1}}", "{",
        "{\"weight_map\":{\"a\":\"../secret.safetensors\"}}", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}",
        "{\"weight_map\":{\"a\":\"x.bin\"}}", "{\"weight_map\":{\"a\":\".safetensors\"}}",
        "{\"weight_map\":{\"a\":\"b.safetensors\",\"a\":\"b.safetensors\"}}"}) {
    write("model/model.safetensors.index.json", index);
    expect_refused("model.safetensors.index.json");
  }
}

TEST_F(Folder, RefusesShardsThatAreNotWhole) {
  write("model/" + b, file_of(second()).substr(0, 50));
  expect_refused(b);
  write("model/" + b, "");
  expect_refused(b);
}

TEST_F(Folder, RefusesFoldersWithoutOneModel) {
  fs::remove(path("model/model.safetensors.index.json"));
  expect_refused("more than one .safetensors file");
  fs::remove(path("model/" + a));
  fs::remove(path("model/" + b));
  expect_refused("no .safetensors file");
}

TEST_F(Folder, RefusesOutputsOnOrInTheModelAndFoldersThatAreNotEmpty) {
  fs::create_directory(path("full"));
  write("full/kept", "old");
  EXPECT_TRUE(fails_in_one_line(run({"prune", path("model"), path("full"), "--pattern", "4:8"}), 3));
  EXPECT_TRUE(fails_in_one_line(run({"prune", path("model"), path("full/kept"), "--pattern", "4:8"}), 3));
  EXPECT_EQ(in("full"), names{"kept"});
  EXPECT_EQ(read("full/kept"), "old");
  const names before = in("model");
  for (const char* out : {"model", "model/", "model/out", "model/deep/er", "full/../model/out"})
    EXPECT_TRUE(fails_in_one_line(run({"prune", path("model"), path(out), "--pattern", "4:8"}), 2)) << out;
  for (const std::string& out : {path("model/" + a), path("model/masks.safetensors")})
    EXPECT_TRUE(fails_in_one_line(run({"mask", path("model"), out, "--pattern", "4:8"}), 2)) << out;
  EXPECT_EQ(in("model"), before);
  const std::string line = "cd '" + path("model") +
                           "' && '" TSENOR_TOOL_PROGRAM "' mask . new.safetensors --pattern 4:8 2> '" +
                           path("full/err") + "'";  // a relative path to what is not there yet
  EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 2);
  EXPECT_EQ(in("model"), before);
  fs::create_directory(path("empty"));
  EXPECT_EQ(run({"prune", path("model"), path("empty"), "--pattern", "4:8"}).exit_code, 0);
  EXPECT_EQ(in("empty").size(), 5u);
}

TEST_F(Folder,
       LeavesNothingWhereTheDiskIsFull) {  // as `ulimit -f` makes files: no larger than a block of 512 or 1024 bytes
  const std::string line = "ulimit -f 1; exec '" TSENOR_TOOL_PROGRAM "' prune '" + path("model") + "' '" + path("out") +
                           "' --pattern 4:8 --device cpu 2> '" + path("err") + "'";
  const int status = std::system(line.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_NE(read("err").find("File too large"), std::string::npos) << read("err");
  EXPECT_EQ(files(), (names{"err", "model"}));
}

// The lines of README.md that begin with the program's name, in the section about it.
std::string commands_of_the_readme() {
  std::ifstream readme(TSENOR_README);
  std::string lines;
  bool inside = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.rfind("## ", 0) == 0) inside = line == "## The program";
    if (inside && line.rfind("tsenor ", 0) == 0) lines += line + " > /dev/null || exit 1\n";
  }
  return lines;
}

TEST_F(Folder, DoesWhatTheReadmeShows) {
  std::string lines = commands_of_the_readme();
  for (std::size_t at = lines.find('#'); at != std::string::npos; at = lines.find('#'))  // comments
    lines.erase(at, lines.find(" > /dev/null", at) - at);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);
  const auto square = [](const std::string& name, unsigned seed) {
    return tensor{name, "F32", "[32,32]", bytes_of(gaussian<float>(1024, seed))};
  };
  write("model/" + a, file_of({square("layers.0.mlp.up.weight", 1), square("layers.0.attn.q.weight", 2)}));
  write("model/" + b, file_of({square("lm_head.weight", 3)}));
  write("model/model.safetensors.index.json",
        index_of({{"layers.0.mlp.up.weight", a}, {"layers.0.attn.q.weight", a}, {"lm_head.weight", b}}));
  write("readme.sh", "cd '" + path("") + "'\ntsenor() { '" TSENOR_TOOL_PROGRAM "' \"$@\"; }\n" + lines);
  EXPECT_EQ(std::system(("sh '" + path("readme.sh") + "'").c_str()), 0) << lines;
  EXPECT_EQ(files(), (names{"masks.safetensors", "model", "out", "readme.sh"}));
}

TEST_F(Folder, KeepsNoFileThatAnInterruptFindsBeforeItsGuard) {
  const std::string made = path("made");
  const auto interrupted = [&] {
    const tool::held_interrupts until_guarded;
    std::ofstream(made) << "half";
    raise(SIGTERM);
    tool::guard_temporary(made);
  };
  EXPECT_EXIT(interrupted(), testing::KilledBySignal(SIGTERM), "");
  EXPECT_FALSE(fs::exists(made));
}

TEST_F(Folder, WritesNothingWhenNothingFits) {
  const outcome o = prune({"--select", "norm"});
  EXPECT_TRUE(fails_in_one_line(o, 3));
  EXPECT_EQ(files(), names{"model"});
}

}  // namespace
}  // namespace tool_test
