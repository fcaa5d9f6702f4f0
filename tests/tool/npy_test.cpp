// .npy in, mask out.
#include <cmath>
#include <limits>
#include <regex>

#include "tool_test.hpp"
#include "tsenor/weight_types.hpp"

namespace tool_test {
namespace {

using names = std::vector<std::string>;

class Npy : public ToolTest {
 protected:
  // The mask in `name`, checked to be a well-formed version 1 .npy of uint8 with this shape.
  std::string mask_in(const std::string& name, int rows, int cols) const {
    const std::string file = read(name);
    std::ostringstream shape;
    shape << "'shape': (" << rows << ", " << cols << ")";
    EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    const std::size_t begin = 10 + static_cast<unsigned char>(file[8]) + 256 * static_cast<unsigned char>(file[9]);
    EXPECT_EQ(begin % 64, 0u);
    EXPECT_EQ(file[begin - 1], '\n');
    const std::string header = file.substr(10, begin - 10);
    EXPECT_NE(header.find("'descr': '|u1', 'fortran_order': False, " + shape.str()), std::string::npos) << header;
    const std::string mask = file.substr(begin);
    EXPECT_EQ(mask.size(), static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    EXPECT_EQ(mask.find_first_not_of(std::string("\0\1", 2)), std::string::npos);
    return mask;
  }

  void expect_refused(const std::string& why, const std::string& file) {
    write("in.npy", file);
    EXPECT_TRUE(fails_in_one_line(run({"mask", path("in.npy"), path("out.npy"), "--pattern", "2:4"}), 3)) << why;
    EXPECT_EQ(read("in.npy"), file) << why;
    EXPECT_EQ(files(), names{"in.npy"}) << why;
  }
};

// A matrix as bytes, and what its weights are worth.
struct sample {
  std::string descr, data;
  std::vector<double> importance;
};

std::vector<sample> samples(std::size_t count) {
  std::vector<sample> all(3);
  const auto halves = small_floats(count, 11);
  all[0] = {"<f2", bytes_of(halves), {}};
  for (const std::uint16_t bits : halves)
    all[0].importance.push_back(std::abs(tsenor::detail::to_arithmetic(tsenor::float16{bits})));
  const auto singles = gaussian<float>(count, 12);
  all[1] = {"<f4", bytes_of(singles), {}};
  for (const float w : singles) all[1].importance.push_back(std::abs(w));
  const auto doubles = gaussian<double>(count, 13);
  all[2] = {"<f8", bytes_of(doubles), {}};
  for (const double w : doubles) all[2].importance.push_back(std::abs(w));
  return all;
}

TEST_F(Npy, WritesAFeasibleMaskAndReportsItTruly) {
  constexpr int rows = 32, cols = 48;
  for (const sample& s : samples(rows * cols)) {
    for (const std::string constraint : {"exactly", "at-most"}) {
      SCOPED_TRACE(s.descr + " " + constraint);
      const std::string file = npy(s.descr, "(32, 48)", s.data);
      const std::string in = write("in.npy", file);
      const outcome o = run({"mask", in, path("out.npy"), "--pattern", "8:16", "--constraint", constraint, "--json"});
      ASSERT_EQ(o.exit_code, 0) << o.err;
      const std::string mask = mask_in("out.npy", rows, cols);
      EXPECT_EQ(violations(mask, rows, cols, 8, 16, constraint == "exactly"), 0);
      EXPECT_EQ(read("in.npy"), file);
      EXPECT_EQ(files(), (names{"in.npy", "out.npy"}));

      double value = 0, total = 0;
      for (std::size_t i = 0; i < mask.size(); ++i) {
        total += s.importance[i];
        value += mask[i] ? s.importance[i] : 0;
      }
      ASSERT_EQ(json_lines(o).size(), 1u);
      const nlohmann::json j = json_lines(o)[0];
      EXPECT_EQ(j.at("name"), "in.npy");
      EXPECT_EQ(j.at("rows"), rows);
      EXPECT_EQ(j.at("cols"), cols);
      EXPECT_EQ(j.at("pattern"), "8:16");
      EXPECT_EQ(j.at("method"), "optimal");
      EXPECT_EQ(j.at("constraint"), constraint);
      EXPECT_EQ(j.at("device"), "cpu");
      EXPECT_EQ(j.at("violations"), 0);
      EXPECT_NEAR(j.at("value").get<double>(), value, 1e-9 * value);
      EXPECT_NEAR(j.at("kept").get<double>(), value / total, 1e-9);
      EXPECT_GE(j.at("bound").get<double>(), j.at("value").get<double>());
      EXPECT_NEAR(j.at("gap").get<double>(), j.at("bound").get<double>() / j.at("value").get<double>() - 1, 1e-9);
      EXPECT_GE(j.at("seconds").get<double>(), 0);
    }
  }
}

TEST_F(Npy, UsesTheMethodsOwnConstraintByDefault) {
  const std::string in = write("in.npy", npy("<f4", "(16, 16)", bytes_of(gaussian<float>(256, 2))));
  EXPECT_EQ(json_lines(run({"inspect", in, "--pattern", "2:4", "--json"})).at(0).at("constraint"), "exactly");
  const auto both = json_lines(run({"inspect", in, "--pattern", "2:4", "--method", "optimal,published", "--json"}));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].at("constraint"), "exactly");
  EXPECT_EQ(both[1].at("constraint"), "at-most");
}

TEST_F(Npy, KeepsTheMostWithACertificateByDefault) {
  const std::string in = write("in.npy", npy("<f4", "(64, 64)", bytes_of(gaussian<float>(4096, 8))));
  for (const char* constraint : {"exactly", "at-most"})
    for (const char* pattern : {"2:4", "4:8", "8:16", "16:32"}) {
      SCOPED_TRACE(std::string(pattern) + " " + constraint);
      const auto both = json_lines(run({"inspect", in, "--pattern", pattern, "--constraint", constraint, "--method",
                                        "optimal,published", "--json"}));
      ASSERT_EQ(both.size(), 2u);
      EXPECT_EQ(both[0].at("method"), "optimal");
      EXPECT_EQ(both[1].at("method"), "published");
      EXPECT_LE(both[0].at("gap").get<double>(), 1e-6);
      EXPECT_GE(both[0].at("value").get<double>(), both[1].at("value").get<double>() * (1 - 1e-6));
    }
}

TEST_F(Npy, SquaresTheImportanceWhenAsked) {
  const auto weights = gaussian<float>(256, 3);
  const std::string in = write("in.npy", npy("<f4", "(16, 16)", bytes_of(weights)));
  const outcome o = run({"mask", in, path("out.npy"), "--pattern", "4:8", "--importance", "squared", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const std::string mask = mask_in("out.npy", 16, 16);
  double value = 0, total = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    total += double(weights[i]) * weights[i];
    value += mask[i] ? double(weights[i]) * weights[i] : 0;
  }
  const nlohmann::json j = json_lines(o).at(0);
  EXPECT_NEAR(j.at("value").get<double>(), value, 1e-6 * value);
  EXPECT_NEAR(j.at("kept").get<double>(), value / total, 1e-6);
}

TEST_F(Npy, KeepsAllOfNothingWhenTheMatrixIsZero) {
  const std::string in = write("in.npy", npy("<f4", "(16, 16)", std::string(1024, '\0')));
  for (const std::string constraint : {"exactly", "at-most"}) {
    const outcome o = run({"mask", in, path("out.npy"), "--pattern", "4:8", "--constraint", constraint, "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const nlohmann::json j = json_lines(o).at(0);
    EXPECT_EQ(j.at("kept"), 1);
    EXPECT_EQ(j.at("gap"), 0);
    EXPECT_EQ(j.at("value"), 0);
    EXPECT_EQ(violations(mask_in("out.npy", 16, 16), 16, 16, 4, 8, constraint == "exactly"), 0);
  }
}

TEST_F(Npy, CountsWeightsThatAreNotFinite) {
  auto weights = gaussian<float>(256, 4);
  weights[5] = std::numeric_limits<float>::quiet_NaN();
  weights[77] = -std::numeric_limits<float>::infinity();
  const std::string in = write("in.npy", npy("<f4", "(16, 16)", bytes_of(weights)));
  const outcome o = run({"inspect", in, "--pattern", "4:8", "--json"});
  ASSERT_EQ(o.exit_code, 0) << o.err;
  const nlohmann::json j = json_lines(o).at(0);
  EXPECT_EQ(j.at("replaced"), 2);
  for (const char* number : {"kept", "value", "bound", "gap"}) EXPECT_TRUE(j.at(number).is_number()) << number;
  EXPECT_LE(j.at("kept").get<double>(), 1);
}

TEST_F(Npy, ExitsWith3WhenTheImportancesSumUpToInfinity) {
  expect_refused("1e308", npy("<f8", "(4, 4)", bytes_of(std::vector<double>(16, 1e308))));
}

TEST_F(Npy, NamesNoShareOfAnInfiniteSum) {
  std::vector<double> weights(16);
  weights[0] = weights[1] = weights[2] = 1e308;  // of which a mask can keep a finite sum
  const std::string in = write("large.npy", npy("<f8", "(4, 4)", bytes_of(weights)));
  const names arguments = {"prune", in, path("out.npy"), "--pattern", "1:4"};
  const outcome table = run(arguments);
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_NE(table.out.find("1:4       -"), std::string::npos) << table.out;
  names with_json = arguments;
  with_json.push_back("--json");
  EXPECT_EQ(json_lines(run(with_json)).at(0).at("kept"), nullptr);
}

TEST_F(Npy, TilesTheEdgesWhenAskedAndElseRefuses) {
  const std::string in = write("in.npy", npy("<f4", "(10, 13)", bytes_of(gaussian<float>(130, 5))));
  EXPECT_TRUE(fails_in_one_line(run({"mask", in, path("out.npy"), "--pattern", "2:4"}), 3));
  EXPECT_EQ(files(), names{"in.npy"});
  for (const std::string constraint : {"exactly", "at-most"}) {
    const outcome o = run(
        {"mask", in, path("out.npy"), "--pattern", "2:4", "--edge", "partial", "--constraint", constraint, "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_EQ(violations(mask_in("out.npy", 10, 13), 10, 13, 2, 4, constraint == "exactly"), 0);
    EXPECT_EQ(json_lines(o).at(0).at("violations"), 0);
  }
}

TEST_F(Npy, TakesMatricesSmallerThanATile) {
  const std::string in = write("in.npy", npy("<f4", "(1, 3)", bytes_of(gaussian<float>(3, 6))));
  ASSERT_EQ(run({"mask", in, path("out.npy"), "--pattern", "16:32", "--edge", "partial"}).exit_code, 0);
  EXPECT_EQ(violations(mask_in("out.npy", 1, 3), 1, 3, 16, 32, false), 0);
}

TEST_F(Npy, GivesTheSameMaskForAnyNumberOfThreads) {
  const std::string in = write("in.npy", npy("<f4", "(64, 64)", bytes_of(gaussian<float>(4096, 7))));
  ASSERT_EQ(run({"mask", in, path("one.npy"), "--pattern", "4:8", "--threads", "1"}).exit_code, 0);
  ASSERT_EQ(run({"mask", in, path("three.npy"), "--pattern", "4:8", "--threads", "3"}).exit_code, 0);
  EXPECT_EQ(read("one.npy"), read("three.npy"));
}

TEST_F(Npy, ReadsHeadersOfAllVersionsAndSpellings) {
  const std::string data = bytes_of(gaussian<float>(16, 8));
  const std::string dict = R"({"shape":(4,4),"fortran_order":False,"descr":"<f4"})";
  write("plain.npy", npy_with_header(dict, data));
  const auto wide = [&](char version) {
    const std::uint32_t length = static_cast<std::uint32_t>(dict.size());
    return std::string("\x93NUMPY") + version + '\0' + std::string(reinterpret_cast<const char*>(&length), 4) + dict +
           data;
  };
  write("two.npy", wide(2));
  write("three.npy", wide(3));
  for (const char* name : {"plain.npy", "two.npy", "three.npy"}) {
    const outcome o = run({"inspect", path(name), "--pattern", "2:4"});
    EXPECT_EQ(o.exit_code, 0) << name << ": " << o.err;
  }
}

TEST_F(Npy, RefusesOtherKindsOfArrays) {
  const std::string data(64, '\0');
  expect_refused("big-endian", npy(">f4", "(4, 4)", data));
  expect_refused("integers", npy("<i4", "(4, 4)", data));
  expect_refused("complex", npy("<c8", "(2, 4)", data));
  expect_refused("objects", npy("|O", "(2, 4)", data));
  expect_refused("structured",
                 npy_with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 4), }", data));
  expect_refused("Fortran order", npy("<f4", "(4, 4)", data, "True"));
  expect_refused("scalar", npy("<f4", "()", std::string(4, '\0')));
  expect_refused("1-D", npy("<f4", "(16,)", data));
  expect_refused("3-D", npy("<f4", "(2, 4, 4)", std::string(128, '\0')));
  expect_refused("no rows", npy("<f4", "(0, 4)", ""));
  expect_refused("no columns", npy("<f4", "(4, 0)", ""));
  expect_refused("not divisible", npy("<f4", "(2, 8)", data));
}

TEST_F(Npy, RefusesFilesThatAreNotWholeOrLie) {
  const std::string data(64, '\0'), whole = npy("<f4", "(4, 4)", data);
  for (std::size_t length = 0; length < whole.size(); ++length) expect_refused("truncated", whole.substr(0, length));
  expect_refused("too long", whole + "x");
  expect_refused("shape too large", npy("<f4", "(4, 8)", data));
  expect_refused("shape too small", npy("<f4", "(4, 3)", data));
  expect_refused("overflowing shape", npy("<f4", "(4294967296, 4294967296)", data));
  expect_refused("overflow that wraps to the size", npy("<f4", "(4611686018427387908, 4)", data));
  expect_refused("huge number", npy("<f4", "(99999999999999999999, 4)", data));
  expect_refused("negative", npy("<f4", "(-4, -4)", data));
  expect_refused("not an array", "not an array at all");
  expect_refused("version 9", std::string(whole).replace(6, 1, "\x09"));
  expect_refused("header length", std::string(whole).replace(8, 2, "\xff\xff"));
  expect_refused("header of 4 GB", std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12) + data);
}

TEST_F(Npy, RefusesHeadersThatAreNoSuchDict) {
  const std::string data(64, '\0');
  for (const char* header : {"", "{}", "{", "}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)",
                             "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (4, 4)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': 16}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4}",
                             "{'descr': '<f4, 'fortran_order': False, 'shape': (4, 4)}",
                             "{'descr': [, 'fortran_order': False, 'shape': (4, 4)}",
                             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), 'more': 1}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)} and more"})
    expect_refused(header, npy_with_header(header, data));
}

}  // namespace
}  // namespace tool_test
