// --svg: what is drawn is the tile, its plan by the reference and its mask.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reference_published.hpp"
#include "tool_test.hpp"
#include "xml.hpp"

namespace tool_test {
namespace {

namespace fs = std::filesystem;
using names = std::vector<std::string>;

// A tile of a matrix, by its upper left corner.
struct drawn_tile {
  int top, left, rows, cols;
};

class Picture : public ToolTest {
 protected:
  static constexpr int rows_ = 12, cols_ = 20;
  const std::vector<float> weights_ = gaussian<float>(rows_ * cols_, 7);
  const std::string in_ = write("in.npy", npy("<f4", "(12, 20)", bytes_of(weights_)));

  // Draws with the given options and reads the picture.
  xml_element draw(const std::string& in, names options) const {
    options.insert(options.begin(), {"inspect", in, "--svg", path("tile.svg")});
    const outcome o = run(options);
    EXPECT_EQ(o.exit_code, 0) << o.err;
    return xml_reader::read(read("tile.svg"));
  }
  // The bytes of the mask that the tool writes with the same options.
  std::string mask_of(const std::string& in, names options) const {
    options.insert(options.begin(), {"mask", in, path("mask.npy")});
    EXPECT_EQ(run(options).exit_code, 0);
    const std::string file = read("mask.npy");
    return file.substr(file.size() - rows_ * cols_);
  }
  double importance(const drawn_tile& t, int i, int j) const {
    return std::abs(weights_[static_cast<std::size_t>((t.top + i) * cols_ + t.left + j)]);
  }
};

std::vector<std::string> texts_of(const xml_element& svg, const std::string& group) {
  std::vector<std::string> texts;
  for (const xml_element& text : svg.find("g", "class", group).at(0)->children) texts.push_back(text.text);
  return texts;
}

// The cells of the first group of the name, row by row, as fractions of full colour. The last rectangle is the frame.
std::vector<double> shades_of(const xml_element& svg, const std::string& group) {
  std::vector<double> shades;
  for (const xml_element& cell : svg.find("g", "class", group).at(0)->children)
    if (cell.attributes.count("fill-opacity")) shades.push_back(cell.number("fill-opacity"));
  return shades;
}

// The tile's mask as the frames show it, row by row.
std::vector<int> marks_of(const xml_element& svg, const drawn_tile& t) {
  std::vector<int> marks(t.rows * t.cols);
  for (const xml_element& frame : svg.find("g", "class", "kept").at(0)->children)
    ++marks.at(static_cast<int>(frame.number("y")) * t.cols + static_cast<int>(frame.number("x")));
  return marks;
}

// The numbers kept in the tile's rows and then in its columns, as text.
std::vector<std::string> counts_of(const std::vector<int>& mask, const drawn_tile& t) {
  std::vector<int> counts(t.rows + t.cols);
  for (int i = 0; i < t.rows; ++i)
    for (int j = 0; j < t.cols; ++j) {
      counts[i] += mask[i * t.cols + j];
      counts[t.rows + j] += mask[i * t.cols + j];
    }
  std::vector<std::string> texts;
  for (const int count : counts) texts.push_back(std::to_string(count));
  return texts;
}

std::vector<int> cut(const std::string& mask, const drawn_tile& t, int cols) {
  std::vector<int> part;
  for (int i = 0; i < t.rows; ++i)
    for (int j = 0; j < t.cols; ++j) part.push_back(mask[static_cast<std::size_t>((t.top + i) * cols + t.left + j)]);
  return part;
}

TEST_F(Picture, MarksTheMaskAndCountsItForEveryMethodAndEdge) {
  const struct {
    names options;
    const char* index;
    drawn_tile tile;
  } cases[] = {{{"--pattern", "2:4"}, "0,0", {0, 0, 4, 4}},
               {{"--pattern", "2:4"}, "2,4", {8, 16, 4, 4}},
               {{"--pattern", "1:4", "--method", "published"}, "1,3", {4, 12, 4, 4}},
               {{"--pattern", "2:4", "--constraint", "at-most", "--importance", "squared"}, "2,0", {8, 0, 4, 4}},
               {{"--pattern", "3:8", "--edge", "partial"}, "1,2", {8, 16, 4, 4}},
               {{"--pattern", "3:7", "--edge", "partial", "--method", "published"}, "1,2", {7, 14, 5, 6}}};
  for (const auto& c : cases) {
    names options = c.options;
    const std::vector<int> mask = cut(mask_of(in_, options), c.tile, cols_);
    options.insert(options.end(), {"--tile", c.index});
    const xml_element svg = draw(in_, options);
    EXPECT_EQ(marks_of(svg, c.tile), mask) << testing::PrintToString(options);
    EXPECT_EQ(texts_of(svg, "counts"), counts_of(mask, c.tile)) << testing::PrintToString(options);
  }
}

TEST_F(Picture, DrawsTheFirstTileUnlessAnotherIsNamed) {
  draw(in_, {"--pattern", "2:4"});
  const std::string first = read("tile.svg");
  draw(in_, {"--pattern", "2:4", "--tile", "0,0"});
  EXPECT_EQ(read("tile.svg"), first);
  draw(in_, {"--pattern", "2:4", "--tile", "0,1"});
  EXPECT_NE(read("tile.svg"), first);
}

TEST_F(Picture, ShadesImportancesAsFractionsOfTheLargest) {
  const drawn_tile t{4, 8, 4, 4};
  const std::vector<double> shades = shades_of(draw(in_, {"--pattern", "2:4", "--tile", "1,2"}), "importance");
  ASSERT_EQ(shades.size(), 16u);
  double largest = 0;
  for (int k = 0; k < 16; ++k) largest = std::max(largest, importance(t, k / 4, k % 4));
  for (int k = 0; k < 16; ++k) EXPECT_NEAR(shades[k], importance(t, k / 4, k % 4) / largest, 0.0051) << k;
}

TEST_F(Picture, ShadesTheReferencePlanWhoseSumsAreN) {
  const drawn_tile t{0, 4, 4, 4};
  std::vector<double> w(16);
  for (int k = 0; k < 16; ++k) w[k] = importance(t, k / 4, k % 4);
  const std::vector<double> plan = tsenor_test::reference_plan(w.data(), {2, 4}, tsenor::options::published());
  for (const char* method : {"optimal", "published"}) {
    const xml_element svg = draw(in_, {"--pattern", "2:4", "--tile", "0,1", "--method", method});
    const std::vector<double> shades = shades_of(svg, "plan");
    ASSERT_EQ(shades.size(), 16u);
    for (int k = 0; k < 16; ++k) EXPECT_NEAR(shades[k], plan[k], 0.01) << method << k;
    EXPECT_EQ(texts_of(svg, "plan-sums"), std::vector<std::string>(8, "2.0"));
  }
}

TEST_F(Picture, IsWellFormedWhateverTheWeights) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& values : std::vector<std::vector<float>>{
           {0, 0, 0, 0}, {1, 1, 1, 1}, {nan, nan, nan, nan}, {inf, 1, nan, 0}, {1e-45f, 3e38f, 0, 1}}) {
    const std::string in = write("small.npy", npy("<f4", "(2, 2)", bytes_of(values)));
    for (const char* pattern : {"1:2", "2:2"}) {
      const xml_element svg = draw(in, {"--pattern", pattern});
      for (const char* group : {"importance", "plan"})
        for (const double shade : shades_of(svg, group)) EXPECT_TRUE(shade >= 0 && shade <= 1) << shade;
    }
  }
}

TEST_F(Picture, ShadesAUniformPlanWhereAllWeightsAreEqual) {
  for (const float value : {0.f, 3.f}) {
    const std::string in = write("equal.npy", npy("<f4", "(4, 4)", bytes_of(std::vector<float>(16, value))));
    EXPECT_EQ(shades_of(draw(in, {"--pattern", "1:4"}), "plan"), std::vector<double>(16, 0.25)) << value;
  }
}

TEST_F(Picture, NamesTheMatrixWhateverItIsCalled) {
  const std::string text = "a<b>&amp;\"'\xc3\xa9.npy";
  const xml_element svg =
      draw(write(text, npy("<f4", "(2, 2)", bytes_of(gaussian<float>(4, 1)))), {"--pattern", "1:2"});
  EXPECT_NE(svg.children.at(0).text.find("a<b>&amp;\\\"'\xc3\xa9.npy, tile 0,0"), std::string::npos)
      << svg.children.at(0).text;
  for (const char* name : {"\x01\xff\n.npy", "\xef\xbf\xbe.npy", "\xef\xbf\xbf.npy"})
    draw(write(name, npy("<f4", "(2, 2)", bytes_of(gaussian<float>(4, 1)))), {"--pattern", "1:2"});
}

TEST_F(Picture, DrawsOneTensorOfSeveral) {
  const std::string in =
      write("in.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]},)"
                                          R"("b":{"dtype":"F32","shape":[4,4],"data_offsets":[64,128]}})",
                                          bytes_of(gaussian<float>(32, 3))));
  const outcome both = run({"inspect", in, "--pattern", "2:4", "--svg", path("tile.svg")});
  EXPECT_TRUE(fails_in_one_line(both, 2));
  EXPECT_NE(both.err.find("--select"), std::string::npos) << both.err;
  const xml_element svg = draw(in, {"--pattern", "2:4", "--select", "b"});
  EXPECT_EQ(svg.children.at(0).text.rfind("b, tile 0,0", 0), 0u) << svg.children.at(0).text;
}

TEST_F(Picture, ExitsWith2WhenThereIsNotOneTileToDraw) {
  const std::string svg = path("tile.svg");
  for (const names& options : std::vector<names>{{"--tile", "3,0"},
                                                 {"--tile", "0,5"},
                                                 {"--tile", "9223372036854775807,0"},
                                                 {"--tile", "99999999999999999999,0"},
                                                 {"--tile", "-1,0"},
                                                 {"--tile", "1"},
                                                 {"--tile", "1,2,3"},
                                                 {"--tile", "a,b"},
                                                 {"--tile", ""},
                                                 {"--method", "optimal,published"}}) {
    names arguments = {"inspect", in_, "--pattern", "2:4", "--svg", svg};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const outcome o = run(arguments);
    EXPECT_TRUE(fails_in_one_line(o, 2)) << testing::PrintToString(options);
    EXPECT_LT(o.err.size(), 200u) << o.err;
  }
  for (const names& arguments : std::vector<names>{{"inspect", in_, "--pattern", "2:4,1:4", "--svg", svg},
                                                   {"inspect", in_, path("out.npy"), "--pattern", "2:4", "--svg", svg},
                                                   {"inspect", in_, "--pattern", "2:4", "--tile", "0,0"},
                                                   {"inspect", in_, "--pattern", "2:4", "--svg", in_},
                                                   {"inspect", in_, "--pattern", "2:4", "--svg"}})
    EXPECT_TRUE(fails_in_one_line(run(arguments), 2)) << testing::PrintToString(arguments);
  EXPECT_EQ(files(), names{"in.npy"});
  EXPECT_EQ(read("in.npy"), npy("<f4", "(12, 20)", bytes_of(weights_)));
}

TEST_F(Picture, IsWholeOrAbsent) {
  fs::create_directory(path("folder"));
  for (const std::string& svg : {path("missing/tile.svg"), path("folder"), path(""), path("in.npy/tile.svg")})
    EXPECT_TRUE(fails_in_one_line(run({"inspect", in_, "--pattern", "2:4", "--svg", svg}), 3)) << svg;
  write("tile.svg", "old");
  const std::string bad = write("bad.npy", "no matrix");
  EXPECT_TRUE(fails_in_one_line(run({"inspect", bad, "--pattern", "2:4", "--svg", path("tile.svg")}), 3));
  EXPECT_EQ(read("tile.svg"), "old");
  draw(in_, {"--pattern", "2:4"});
  EXPECT_EQ(files(), (names{"bad.npy", "folder", "in.npy", "tile.svg"}));
}

}  // namespace
}  // namespace tool_test
