// Damaged files of every kind: the tool takes them or says why not, and never crashes.
#include <random>

#include "tool_test.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;

constexpr int mutations = 300;  // of each format

// One to four bytes changed, inserted or removed, most of them in the header, and sometimes the end cut off.
std::string mutate(std::string file, std::size_t header, std::mt19937& generator) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(generator() % limit); };
  for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
    const std::size_t at = below(below(4) == 0 ? file.size() : std::min(header, file.size()));
    const char alphabet[] = "0123456789{}[]()'\",:<>-eE \n\xff";
    const char byte = below(2) ? alphabet[below(sizeof alphabet)] : static_cast<char>(generator());
    switch (below(4)) {
      case 0:
        file.insert(at, 1, byte);
        break;
      case 1:
        file.erase(at, 1);
        break;
      default:
        file[at] = byte;
    }
  }
  if (below(8) == 0) file.resize(below(file.size()) + 1);
  return file;
}

class Mutation : public ToolTest {
 protected:
  void expect_no_crash(const std::string& command, const std::string& ending, const std::string& valid,
                       std::size_t header, unsigned seed) {
    const std::string in = path("in" + ending), out = path("out" + ending);
    std::mt19937 generator(seed);
    write("in" + ending, valid);
    ASSERT_EQ(run({command, in, out, "--pattern", "2:4", "--threads", "1"}).exit_code, 0);
    std::filesystem::remove(out);
    int refused = 0;
    for (int k = 0; k < mutations; ++k) {
      const std::string file = mutate(valid, header, generator);
      write("in" + ending, file);
      const outcome o = run({command, in, out, "--pattern", "2:4", "--threads", "1"});
      SCOPED_TRACE("seed " + std::to_string(seed) + ", mutation " + std::to_string(k) + ", stderr: " + o.err);
      ASSERT_EQ(read("in" + ending), file);
      if (o.exit_code == 0) {
        ASSERT_EQ(files(), (names{"in" + ending, "out" + ending}));
        std::filesystem::remove(out);
      } else {
        ASSERT_TRUE(fails_in_one_line(o, 3));
        ASSERT_EQ(files(), names{"in" + ending});
        ++refused;
      }
    }
    EXPECT_GT(refused, mutations / 4) << "the mutations are too harmless to show anything";
  }
};

TEST_F(Mutation, NpyNeverCrashes) {
  const std::string data = bytes_of(gaussian<float>(64, 41));
  const std::string valid = npy("<f4", "(8, 8)", data);
  expect_no_crash("mask", ".npy", valid, valid.size() - data.size(), 42);
}

TEST_F(Mutation, SafetensorsNeverCrashes) {
  const std::string data = bytes_of(gaussian<float>(64, 43)) + bytes_of(small_floats(32, 44)) + "abcd";
  const std::string valid =
      safetensors(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[8,8],"data_offsets":[0,256]},)"
                  R"("b":{"dtype":"F16","shape":[4,8],"data_offsets":[256,320]},)"
                  R"("c":{"dtype":"U8","shape":[4],"data_offsets":[320,324]}})",
                  data);
  expect_no_crash("prune", ".safetensors", valid, valid.size() - data.size(), 45);
}

}  // namespace
}  // namespace tool_test
