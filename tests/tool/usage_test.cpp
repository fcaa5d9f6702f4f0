// The command line, the handling of IN and OUT, and what is printed.
#include <sys/stat.h>

#include "tool_test.hpp"

namespace tool_test {
namespace {

namespace fs = std::filesystem;
using names = std::vector<std::string>;

class Usage : public ToolTest {
 protected:
  const std::string matrix_ = npy("<f4", "(16, 32)", bytes_of(gaussian<float>(16 * 32, 1)));
  const std::string in_ = write("in.npy", matrix_);
};

TEST_F(Usage, PrintsHelpWhenAsked) {
  const outcome o = run({"--help"});
  EXPECT_EQ(o.exit_code, 0);
  for (const char* text : {"inspect", "mask", "prune", "check", "apply", "Exit status"})
    EXPECT_NE(o.out.find(text), std::string::npos) << text;
  EXPECT_EQ(o.err, "");
  for (const char* command : {"inspect", "mask", "prune", "check"}) {
    const outcome of_command = run({command, "--help"});
    EXPECT_EQ(of_command.exit_code, 0);
    EXPECT_NE(of_command.out.find("--pattern"), std::string::npos) << of_command.out;
  }
}

TEST_F(Usage, ExitsWith2WhenTheCommandLineIsWrong) {
  const std::string out = path("out.npy");
  const std::vector<names> wrong = {
      {},
      {"convert"},
      {"mask"},
      {in_, out, "--pattern", "2:4"},
      {"mask", in_, out},
      {"mask", in_, "--pattern", "2:4"},
      {"mask", in_, out, "--pattern"},
      {"mask", in_, out, "more", "--pattern", "2:4"},
      {"inspect", in_, out, "--pattern", "2:4"},
      {"inspect", in_, "--pattern", "2:4", "--unknown"},
      {"inspect", in_, "--pattern", "2:4", "--device", "tpu"},
      {"inspect", in_, "--pattern", "2:4", "--method", "best"},
      {"inspect", in_, "--pattern", "2:4", "--method", "optimal,best"},
      {"inspect", in_, "--pattern", "2:4", "--constraint", "some"},
      {"inspect", in_, "--pattern", "2:4", "--edge", "cut"},
      {"inspect", in_, "--pattern", "2:4", "--importance", "cubed"},
      {"inspect", in_, "--pattern", "2:4", "--threads", "-1"},
      {"inspect", in_, "--pattern", "2:4", "--threads", "many"},
      {"inspect", in_, "--pattern", "2:4", "--select", "a"},
      {"mask", in_, out, "--pattern", "2:4,4:8"},
      {"mask", in_, out, "--pattern", "2:4,4:8,*.up=1:4"},
      {"mask", in_, out, "--pattern", "2:4", "--method", "optimal,published"},
      {"check", in_},
      {"check", in_, "--pattern", "2:4,4:8"},
      {"check", in_, "--pattern", "2:4", "--structure", "published"},
      {"apply", in_, in_},
  };
  for (const names& arguments : wrong) {
    const outcome o = run(arguments);
    EXPECT_TRUE(fails_in_one_line(o, 2)) << testing::PrintToString(arguments);
  }
  EXPECT_EQ(files(), names{"in.npy"});
}

TEST_F(Usage, ExitsWith2WhenTheFormatsOfFilesDoNotFit) {
  const std::string out = path("out.npy");
  const std::vector<names> wrong = {
      {"mask", in_, path("out.safetensors"), "--pattern", "2:4"},
      {"mask", in_, path("out.txt"), "--pattern", "2:4"},
      {"mask", in_, "", "--pattern", "2:4"},
      {"mask", path("in.txt"), out, "--pattern", "2:4"},
      {"apply", in_, path("masks.safetensors"), out},
      {"apply", in_, in_, path("out.safetensors")},
  };
  for (const names& arguments : wrong) {
    const outcome o = run(arguments);
    EXPECT_TRUE(fails_in_one_line(o, 2)) << testing::PrintToString(arguments);
  }
  EXPECT_EQ(files(), names{"in.npy"});
}

TEST_F(Usage, ExitsWith2WhenThePatternIsNotSupported) {
  for (const char* pattern :
       {"9:8", "0:4", "1:1", "3:65", "-1:4", "8", "8:", ":8", "a:b", "8:16x", "8 :16", "2:4:8", "99999999999:16", "\n"})
    EXPECT_TRUE(fails_in_one_line(run({"inspect", in_, std::string("--pattern=") + pattern}), 2)) << pattern;
}

TEST_F(Usage, ExitsWith2WhenSelectIsNoRegularExpression) {
  const std::string in =
      write("in.safetensors",
            safetensors(R"({"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})", std::string(64, '\0')));
  EXPECT_TRUE(fails_in_one_line(run({"inspect", in, "--pattern", "2:4", "--select", "("}), 2));
}

TEST_F(Usage, TakesFilesAfterOptions) {
  EXPECT_EQ(run({"mask", "--pattern", "2:4", in_, path("out.npy")}).exit_code, 0);
  EXPECT_EQ(files(), (names{"in.npy", "out.npy"}));
}

TEST_F(Usage, ExitsWith3WhenInIsMissingOrNoFile) {
  fs::create_directory(path("folder.npy"));
  EXPECT_TRUE(fails_in_one_line(run({"inspect", path("missing.npy"), "--pattern", "2:4"}), 3));
  EXPECT_TRUE(fails_in_one_line(run({"inspect", path("missing\nline.npy"), "--pattern", "2:4"}), 3));
  EXPECT_TRUE(fails_in_one_line(run({"inspect", path("folder.npy"), "--pattern", "2:4"}), 3));
  const outcome o = run({"inspect", path("missing")});
  EXPECT_TRUE(fails_in_one_line(o, 2));
  EXPECT_NE(o.err.find("does not exist"), std::string::npos) << o.err;
}

TEST_F(Usage, RefusesOutThatIsInAlsoThroughLinks) {
  fs::create_symlink(in_, path("symbolic.npy"));
  fs::create_hard_link(in_, path("hard.npy"));
  fs::create_directory_symlink(path("."), path("here"));
  for (const char* out : {"in.npy", "symbolic.npy", "hard.npy", "here/in.npy"})
    EXPECT_TRUE(fails_in_one_line(run({"mask", in_, path(out), "--pattern", "2:4"}), 2)) << out;
  EXPECT_TRUE(fails_in_one_line(run({"mask", path("symbolic.npy"), in_, "--pattern", "2:4"}), 2));
  EXPECT_EQ(read("in.npy"), matrix_);
  EXPECT_EQ(files(), (names{"hard.npy", "here", "in.npy", "symbolic.npy"}));
}

TEST_F(Usage, ExitsWith3WhenOutCannotBeWritten) {
  fs::create_directory(path("folder.npy"));
  for (const std::string& out : {path("missing/out.npy"), path("folder.npy"), path("in.npy/out.npy"),
                                 path(std::string(300, 'x') + ".npy"), path(std::string(5000, 'x') + ".npy")})
    EXPECT_TRUE(fails_in_one_line(run({"mask", in_, out, "--pattern", "2:4"}), 3)) << out;
  EXPECT_EQ(files(), (names{"folder.npy", "in.npy"}));
}

TEST_F(Usage, ReplacesAnExistingOutAndKeepsItsPermissions) {
  const std::string out = write("out.npy", "old");
  chmod(out.c_str(), 0640);
  EXPECT_EQ(run({"mask", in_, out, "--pattern", "2:4"}).exit_code, 0);
  EXPECT_GT(read("out.npy").size(), 16u * 32u);
  struct stat after;
  ASSERT_EQ(stat(out.c_str(), &after), 0);
  EXPECT_EQ(after.st_mode & 0777, 0640u);
}

TEST_F(Usage, WritesThroughASymbolicLinkAtOut) {
  write("target.npy", "old");
  fs::create_symlink("target.npy", path("link.npy"));
  EXPECT_EQ(run({"mask", in_, path("link.npy"), "--pattern", "2:4"}).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(path("link.npy")));
  EXPECT_GT(read("target.npy").size(), 16u * 32u);
  EXPECT_EQ(files(), (names{"in.npy", "link.npy", "target.npy"}));
}

TEST_F(Usage, LeavesAnExistingOutAsItIsWhenInIsBad) {
  const std::string bad = write("bad.npy", matrix_.substr(0, matrix_.size() - 1));
  const std::string out = write("out.npy", "old");
  EXPECT_TRUE(fails_in_one_line(run({"mask", bad, out, "--pattern", "2:4"}), 3));
  EXPECT_EQ(read("out.npy"), "old");
  EXPECT_EQ(files(), (names{"bad.npy", "in.npy", "out.npy"}));
}

TEST_F(Usage, ExitsWith4WhenCudaIsAskedForAndNotThere) {
  const outcome o = run({"mask", in_, path("out.npy"), "--pattern", "2:4", "--device", "cuda"});
  if (o.exit_code == 0) GTEST_SKIP() << "there is a CUDA device";
  EXPECT_TRUE(fails_in_one_line(o, 4));
  EXPECT_EQ(files(), names{"in.npy"});
}

TEST_F(Usage, FindsADeviceByItself) {
  const outcome o = run({"inspect", in_, "--pattern", "2:4", "--device", "auto", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  EXPECT_TRUE(json_lines(o).at(0).at("device") == "cpu" || json_lines(o).at(0).at("device") == "cuda");
}

TEST_F(Usage, PrintsATableWithARowForEachPattern) {
  const outcome o = run({"inspect", in_, "--pattern", "2:4,4:8,8:16"});
  EXPECT_EQ(o.exit_code, 0);
  EXPECT_EQ(o.err, "");
  for (const char* text :
       {"2:4", "4:8", "8:16", "optimal", "exactly", "kept %", "certified gap %", "violations", "weights/s", "in.npy"})
    EXPECT_NE(o.out.find(text), std::string::npos) << text << " is not in\n" << o.out;
  EXPECT_EQ(o.out.find("published"), std::string::npos) << o.out;
}

TEST_F(Usage, ComparesMethodsRowByRowWhenBothAreAskedFor) {
  const outcome o = run({"inspect", in_, "--pattern", "2:4,4:8", "--method", "optimal,published"});
  EXPECT_EQ(o.exit_code, 0) << o.err;
  std::size_t at = 0;
  for (const char* text : {"2:4", "optimal", "exactly", "2:4", "published", "at-most", "4:8", "optimal", "exactly",
                           "4:8", "published", "at-most"}) {
    at = o.out.find(text, at);
    ASSERT_NE(at, std::string::npos) << text << " is not in its place in\n" << o.out;
    ++at;
  }
}

TEST_F(Usage, ShowsProgressOnATerminal) {
  const outcome o = run_on_terminal({"inspect", in_, "--pattern", "2:4,4:8", "--json"});
  EXPECT_EQ(o.exit_code, 0);
  EXPECT_NE(o.err.find(" 50 % in.npy"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find(" 100 % in.npy"), std::string::npos) << o.err;
  EXPECT_EQ(json_lines(o).size(), 2u);
}

TEST_F(Usage, ExitsWith3WhenTheStandardOutputIsFull) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  EXPECT_EQ(run_into("/dev/full", {"inspect", in_, "--pattern", "2:4"}).exit_code, 3);
}

}  // namespace
}  // namespace tool_test
