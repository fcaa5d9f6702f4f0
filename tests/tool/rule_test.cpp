// What stays dense by default, what --select and --pattern change of that, and batches of matrices.
#include <fstream>
#include <limits>
#include <sstream>

#include "tool_test.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;

tensor matrix_named(const std::string& name, const std::string& shape = "[8,8]", std::size_t count = 64) {
  return {name, "F32", shape, bytes_of(gaussian<float>(count, 5))};
}

class Rule : public ToolTest {
 protected:
  outcome with(const std::string& command, const std::vector<tensor>& tensors, names more) {
    write("in.safetensors", file_of(tensors));
    names arguments = {command, path("in.safetensors")};
    if (command == "prune" || command == "mask") arguments.push_back(path("out.safetensors"));
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("--json");
    return run(arguments);
  }
  names taken(const outcome& o) {
    names result;
    for (const auto& j : json_lines(o)) result.push_back(j.at("name"));
    return result;
  }
};

TEST_F(Rule, LeavesEmbeddingsHeadsRoutersAndTheLikeDense) {
  const std::vector<std::pair<std::string, std::string>> dense = {
      {"lm_head.weight", "an output head"},
      {"model.embed_tokens.weight", "an embedding"},
      {"transformer.wte.weight", "an embedding"},
      {"bert.embeddings.word_embeddings.weight", "an embedding"},
      {"embed_out.weight", "an embedding"},
      {"output.weight", "an output head"},
      {"classifier.weight", "an output head"},
      {"score.weight", "an output head"},
      {"model.layers.0.mlp.gate.weight", "a router"},
      {"model.layers.0.block_sparse_moe.router.layer.weight", "a router"},
      {"model.layers.0.mlp.shared_expert_gate.weight", "a router"},
      {"model.layers.0.mlp.experts.gate_up_proj_bias", "a bias"},
      {"model.layers.0.mlp.up_proj.weight_scale_inv", "a scale"},
      {"model.layers.0.mlp.up_proj.lora_A.weight", "an adapter"},
      {"backbone.layers.0.mixer.A_log", "a state matrix"},
      {"rnn.weight_ih_l0", "a recurrent layer's"},
      {"shared.weight", "an embedding"},
      {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "a bias"},
      {"proj_out.weight", "an output head"}};
  const names pruned = {"model.layers.0.attn.heads.1.weight",
                        "model.layers.0.attention.output.dense.weight",
                        "model.layers.0.mlp.experts.0.gate_proj.weight",
                        "model.layers.0.mlp.gate_proj.weight",
                        "model.layers.1.mlp.gate.weight",
                        "blocks.0.proj_out.weight"};  // a gate beside no experts is none of theirs
  std::vector<tensor> tensors;
  for (const auto& [name, reason] : dense) tensors.push_back(matrix_named(name));
  for (const std::string& name : pruned) tensors.push_back(matrix_named(name));
  const outcome o = with("prune", tensors, {"--pattern", "2:4"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const auto reasons = dense_in(o);
  EXPECT_EQ(reasons.size(), dense.size());
  for (const auto& [name, reason] : dense) {
    ASSERT_EQ(reasons.count(name), 1u) << name;
    EXPECT_EQ(reasons.at(name), reason + " (--select overrides)");
  }
  EXPECT_EQ(taken(o).size(), pruned.size()) << o.out;
}

TEST_F(Rule, KnowsTheNamesOfOtherArchitectures) {
  const std::map<std::string, std::string> dense = {{"cls.predictions.decoder.weight", "an output head"},
                                                    {"decoder.weight", "an output head"},
                                                    {"vocab_projector.weight", "an output head"},
                                                    {"generator.weight", "an output head"},
                                                    {"decoder.output_projection.weight", "an output head"},
                                                    {"language_model.output.weight", "an output head"},
                                                    {"pred_layer.proj.weight", "an output head"},
                                                    {"to_logits.weight", "an output head"},
                                                    {"model.layers.61.shared_head.head.weight", "an output head"},
                                                    {"model.shared.weight", "an embedding"},
                                                    {"tok_emb.weight", "an embedding"},
                                                    {"pos_emb", "an embedding"},
                                                    {"model.layers.0.self_attn.rotary_emb.cos_cached", "an embedding"},
                                                    {"query_tokens", "an embedding"},
                                                    {"quantizer.codebook.weight", "an embedding"},
                                                    {"encoder.pos_encoder.pe", "an embedding"},
                                                    {"model.cos_sin_cache", "a table of positions"},
                                                    {"blocks.0.attn.relative_position_bias_table", "a bias"},
                                                    {"encoder.layers.0.attn.pos_bias_u", "a bias"},
                                                    {"model.layers.0.mlp.gate.wg.weight", "a router"},
                                                    {"model.layers.0.mlp.gating.weight", "a router"},
                                                    {"model.layers.1.moe.gate.weight", "a router"},
                                                    {"model.layers.0.mlp.up_proj.zero_point", "a zero point"}};
  const names pruned = {"model.layers.0.mlp.experts.0.gate.weight", "model.layers.0.mlp.shared.up_proj.weight",
                        "model.decoder.layers.0.fc1.weight",        "model.layers.0.attention.output.weight",
                        "model.layers.1.moe.experts.gate.weight",   "model.layers.1.moe.up.weight"};
  std::vector<tensor> tensors;
  for (const auto& [name, reason] : dense) tensors.push_back(matrix_named(name));
  for (const std::string& name : pruned) tensors.push_back(matrix_named(name));
  const outcome o = with("inspect", tensors, {"--pattern", "2:4"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const auto reasons = dense_in(o);
  EXPECT_EQ(reasons.size(), dense.size());
  for (const auto& [name, reason] : dense) {
    ASSERT_EQ(reasons.count(name), 1u) << name;
    EXPECT_EQ(reasons.at(name), reason + " (--select overrides)") << name;
  }
  EXPECT_EQ(taken(o).size(), pruned.size()) << o.out;
}

TEST_F(Rule, SaysWhichOptionsNameNothing) {
  const std::vector<tensor> tensors = {matrix_named("a.mlp.up"), matrix_named("b.attn.q")};
  const auto notes = [&](names more) {
    const outcome o = with("check", tensors, std::move(more));
    EXPECT_EQ(o.exit_code, 1) << o.err;
    int found = 0;
    for (std::size_t at = o.out.find("{\"note\""); at != std::string::npos; at = o.out.find("{\"note\"", at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(notes({"--pattern", "*.mlp.*=4:8,2:4"}), 0);
  EXPECT_EQ(notes({"--pattern", "*.mlp.*=4:8,*=2:4"}), 0);
  EXPECT_EQ(notes({"--pattern", "*.mpl.*=4:8,2:4"}), 1);
  EXPECT_EQ(notes({"--pattern", "*=2:4,*.mlp.*=4:8"}), 1);  // the first has taken all
  EXPECT_EQ(notes({"--pattern", "2:4", "--transposed", "attn"}), 0);
  EXPECT_EQ(notes({"--pattern", "2:4", "--transposed", "atn"}), 1);
}

TEST_F(Rule, TakesWhatSelectMatchesAndSaysSo) {
  const std::vector<tensor> tensors = {matrix_named("lm_head.weight"), matrix_named("model.embed_tokens.weight"),
                                       matrix_named("model.layers.0.up.weight"),
                                       matrix_named("model.norm.weight", "[64]")};
  const outcome o = with("prune", tensors, {"--pattern", "2:4", "--select", "^(?!.*lm_head)"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(taken(o), (names{"model.embed_tokens.weight", "model.layers.0.up.weight"}));
  EXPECT_EQ(dense_in(o).at("model.norm.weight"), "1-D");
  EXPECT_NE(o.out.find(R"({"note":"\"model.embed_tokens.weight\" is an embedding)"), std::string::npos) << o.out;
}

TEST_F(Rule, LeavesTiedTensorsDense) {
  const std::string header = R"({"__metadata__":{"format":"pt","decoder.weight":"encoder.weight"})";
  write("in.safetensors", file_of({matrix_named("encoder.weight"), matrix_named("up.weight")}, header));
  const outcome o = run({"mask", path("in.safetensors"), path("out.safetensors"), "--pattern", "2:4", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(taken(o), names{"up.weight"});
  EXPECT_EQ(dense_in(o).at("encoder.weight"), "tied to \"decoder.weight\" (--select overrides)");
}

TEST_F(Rule, SaysTheSameAsThePythonPackage) {
  std::ifstream file(TSENOR_PACKAGE "/targets.py");
  if (!file) GTEST_SKIP() << "the package has no targets.py";
  std::ostringstream python;
  python << file.rdbuf();
  std::ifstream table(TSENOR_TABLE);
  int compared = 0;
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string place, part;
    fields >> place >> part;
    if (place == "#" || part.find('|') == std::string::npos || place == "tensor") continue;
    EXPECT_NE(python.str().find("r\"" + part + "\""), std::string::npos) << part;
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

TEST_F(Rule, GivesEachTensorItsOwnPattern) {
  const std::vector<tensor> tensors = {matrix_named("a.mlp.up", "[16,16]", 256),
                                       matrix_named("b.attn.q", "[16,16]", 256), matrix_named("c.attn.k", "[8,8]"),
                                       matrix_named("d.other", "[16,16]", 256)};
  const outcome o = with("prune", tensors, {"--pattern", "*.mlp.*=8:16", "--pattern", "*.k=1:4,*attn*=2:8"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const auto lines = json_lines(o);
  ASSERT_EQ(lines.size(), 3u) << o.out;
  EXPECT_EQ(lines[0].at("pattern"), "8:16");
  EXPECT_EQ(lines[1].at("pattern"), "2:8");
  EXPECT_EQ(lines[2].at("pattern"), "1:4");
  EXPECT_EQ(dense_in(o).at("d.other"), "no --pattern matches the name");
  const auto after = data_of(read("out.safetensors"), file_of(tensors), tensors);
  const auto kept = [&](int k) {
    std::string mask;
    for (const float w : numbers_in<float>(after[static_cast<std::size_t>(k)])) mask += static_cast<char>(w != 0);
    return mask;
  };
  EXPECT_EQ(violations(kept(0), 16, 16, 8, 16, true), 0);
  EXPECT_EQ(violations(kept(1), 16, 16, 2, 8, true), 0);
  EXPECT_EQ(violations(kept(2), 8, 8, 1, 4, true), 0);
  EXPECT_EQ(after[3], tensors[3].data);
  const outcome rest = with("prune", tensors, {"--pattern", "2:4,*.mlp.*=8:16"});  // N:M alone is for all others
  EXPECT_EQ(json_lines(rest).at(0).at("pattern"), "8:16");
  EXPECT_EQ(json_lines(rest).at(3).at("pattern"), "2:4");
}

TEST_F(Rule, PrunesFusedExpertsAsABatch) {
  const std::vector<tensor> tensors = {matrix_named("mlp.experts.gate_up_proj", "[3,8,16]", 384),
                                       matrix_named("conv.weight", "[8,4,4]", 128)};
  const outcome o = with("prune", tensors, {"--pattern", "4:8"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(taken(o), names{"mlp.experts.gate_up_proj"});
  EXPECT_EQ(json_lines(o)[0].at("shape"), (nlohmann::json{3, 8, 16}));
  EXPECT_EQ(dense_in(o).count("conv.weight"), 1u);
  const auto after = data_of(read("out.safetensors"), file_of(tensors), tensors);
  const auto before = numbers_in<float>(tensors[0].data), pruned = numbers_in<float>(after[0]);
  for (std::size_t k = 0; k < 3; ++k) {  // each expert as if it stood alone
    const std::vector<float> one(before.begin() + 128 * k, before.begin() + 128 * (k + 1));
    write("one.npy", npy("<f4", "(8, 16)", bytes_of(one)));
    ASSERT_EQ(run({"prune", path("one.npy"), path("alone.npy"), "--pattern", "4:8"}).exit_code, 0);
    const std::string alone = read("alone.npy");
    EXPECT_EQ(bytes_of(std::vector<float>(pruned.begin() + 128 * k, pruned.begin() + 128 * (k + 1))),
              alone.substr(alone.size() - 512));
  }
}

// Any bits of 8: NaN and infinities too.
TEST_F(Rule, PrunesWeightsOfEightBits) {
  std::string bits;
  for (int k = 0; k < 256; ++k) bits += static_cast<char>(k * 37);
  for (const char* type : {"F8_E4M3", "F8_E5M2"}) {
    const std::vector<tensor> tensors = {{"w", type, "[16,16]", bits}};
    const outcome o = with("prune", tensors, {"--pattern", "4:8"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_GT(json_lines(o).at(0).at("replaced"), 0);
    const std::string after = data_of(read("out.safetensors"), file_of(tensors), tensors)[0];
    std::string mask;
    for (std::size_t k = 0; k < bits.size(); ++k) {
      EXPECT_TRUE(after[k] == bits[k] || after[k] == 0) << k;
      mask += static_cast<char>(after[k] != 0);
    }
    EXPECT_EQ(violations(mask, 16, 16, 4, 8, false), 0);
    EXPECT_NE(mask, std::string(256, '\1'));
  }
}

TEST_F(Rule, ListsWhatIsThereEvenIfNothingCanBePruned) {
  const outcome o =
      with("inspect", {matrix_named("norm", "[64]"), {"mask", "BOOL", "[4,4]", std::string(16, '\1')}}, {});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(dense_in(o).size(), 2u) << o.out;
  EXPECT_EQ(taken(o), names{});
}

TEST_F(Rule, ListsTensorsAndTheTilesThatFit) {
  const outcome o = with("inspect", {matrix_named("up.weight", "[24,16]", 384), matrix_named("lm_head.weight")}, {});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_EQ(json_lines(o).at(0).at("fits"), (nlohmann::json{4, 8}));
  EXPECT_EQ(dense_in(o).count("lm_head.weight"), 1u);
  EXPECT_NE(run({"inspect", path("in.safetensors")}).out.find("4,8"), std::string::npos);
}

}  // namespace
}  // namespace tool_test
