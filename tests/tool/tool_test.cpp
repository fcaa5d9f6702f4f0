#include "tool_test.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

extern char** environ;

namespace tool_test {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

fs::path new_folder() {
  std::string name = testing::TempDir() + "tsenor_tool_XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make the folder " + name);
  return name;
}

// Runs the tool with the given files as its stdout and stderr.
int spawn(std::vector<std::string> arguments, const std::string& out, const std::string& err) {
  const auto given = [&](const char* option) {
    return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
  };
  const bool on_device =
      !arguments.empty() && (arguments[0] == "inspect" || arguments[0] == "mask" || arguments[0] == "prune");
  if (on_device && !given("--device")) arguments.insert(arguments.end(), {"--device", "cpu"});
  arguments.insert(arguments.begin(), TSENOR_TOOL_PROGRAM);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = 0;
  const int error = posix_spawn(&process, TSENOR_TOOL_PROGRAM, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(std::string("cannot run " TSENOR_TOOL_PROGRAM ": ") + std::strerror(error));
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

testing::AssertionResult fails_in_one_line(const outcome& o, int code) {
  const std::string name = fs::path(TSENOR_TOOL_PROGRAM).stem().string() + ": ";
  const bool one_line = std::count(o.err.begin(), o.err.end(), '\n') == 1 && o.err.back() == '\n';
  if (o.exit_code == code && o.out.empty() && one_line && o.err.rfind(name, 0) == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "exit code " << o.exit_code << " instead of " << code << ", stdout \"" << o.out
                                     << "\", stderr \"" << o.err << "\"";
}

std::vector<nlohmann::json> json_lines(const outcome& o) {
  std::vector<nlohmann::json> objects;
  std::istringstream lines(o.out);
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json object = nlohmann::json::parse(line);
    if (!object.contains("dense") && !object.contains("left_out") && !object.contains("note"))
      objects.push_back(object);
  }
  return objects;
}

std::map<std::string, std::string> dense_in(const outcome& o) {
  std::map<std::string, std::string> reasons;
  std::istringstream lines(o.out);
  for (std::string line; std::getline(lines, line);)
    if (const nlohmann::json object = nlohmann::json::parse(line); object.contains("dense"))
      reasons[object.at("name")] = object.at("dense");
  return reasons;
}

std::string npy_with_header(const std::string& header, const std::string& data) {
  const char length[] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return std::string("\x93NUMPY\x01\x00", 8) + std::string(length, 2) + header + data;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                const std::string& fortran_order) {
  return npy_with_header(
      "{'descr': '" + descr + "', 'fortran_order': " + fortran_order + ", 'shape': " + shape + ", }   \n", data);
}

std::string safetensors(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

std::string file_of(const std::vector<tensor>& tensors, std::string header) {
  std::string data;
  for (const tensor& t : tensors) {
    const std::size_t begin = data.size();
    data += t.data;
    header += ",\"" + t.name + R"(":{"dtype":")" + t.dtype + R"(","shape":)" + t.shape + ",\"data_offsets\":[" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return safetensors(header + "}   ", data);
}

std::vector<std::string> data_of(const std::string& out, const std::string& in, const std::vector<tensor>& tensors) {
  std::size_t begin = in.size();
  for (const tensor& t : tensors) begin -= t.data.size();
  EXPECT_EQ(out.size(), in.size());
  EXPECT_EQ(out.substr(0, begin), in.substr(0, begin)) << "the header has changed";
  std::vector<std::string> data;
  for (const tensor& t : tensors) {
    data.push_back(out.substr(begin, t.data.size()));
    begin += t.data.size();
  }
  return data;
}

template <class T>
std::vector<T> gaussian(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<T> normal;
  std::vector<T> values(count);
  for (T& value : values) value = normal(generator);
  return values;
}
template std::vector<float> gaussian<float>(std::size_t, unsigned);
template std::vector<double> gaussian<double>(std::size_t, unsigned);

std::vector<std::uint16_t> small_floats(std::size_t count, unsigned seed) {
  constexpr std::uint16_t sign_and_fraction = 0x83ff, exponent_of_one = 0x3c00;  // float16's; 1.875 or more in bfloat16
  std::mt19937 generator(seed);
  std::vector<std::uint16_t> values(count);
  for (auto& value : values) value = static_cast<std::uint16_t>((generator() & sign_and_fraction) | exponent_of_one);
  return values;
}

int violations(const std::string& mask, int rows, int cols, int n, int m, bool exactly) {
  int broken = 0;
  const auto judge = [&](int kept, bool full) { broken += kept > n || (exactly && full && kept < n); };
  for (int top = 0; top < rows; top += m) {
    for (int left = 0; left < cols; left += m) {
      const int height = std::min(m, rows - top), width = std::min(m, cols - left);
      std::vector<int> row(height), col(width);
      for (int i = 0; i < height; ++i)
        for (int j = 0; j < width; ++j) {
          const int kept = mask[static_cast<std::size_t>((top + i) * cols + left + j)] != 0;
          row[i] += kept;
          col[j] += kept;
        }
      const bool full = height == m && width == m;
      for (const int kept : row) judge(kept, full);
      for (const int kept : col) judge(kept, full);
    }
  }
  return broken;
}

ToolTest::ToolTest() : folder_(new_folder()), streams_(new_folder()) {}

ToolTest::~ToolTest() {
  fs::remove_all(folder_);
  fs::remove_all(streams_);
}

std::string ToolTest::write(const std::string& name, const std::string& bytes) const {
  std::ofstream(folder_ / name, std::ios::binary) << bytes;
  return path(name);
}

std::string ToolTest::read(const std::string& name) const { return contents(folder_ / name); }

std::vector<std::string> ToolTest::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

outcome ToolTest::run(std::vector<std::string> arguments) const {
  outcome o;
  o.exit_code = spawn(std::move(arguments), streams_ / "out", streams_ / "err");
  o.out = contents(streams_ / "out");
  o.err = contents(streams_ / "err");
  return o;
}

outcome ToolTest::run_into(const std::string& out, std::vector<std::string> arguments) const {
  outcome o;
  o.exit_code = spawn(std::move(arguments), out, streams_ / "err");
  o.err = contents(streams_ / "err");
  return o;
}

outcome ToolTest::run_on_terminal(std::vector<std::string> arguments) const {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  grantpt(terminal);
  unlockpt(terminal);
  const int held_open = open(ptsname(terminal), O_RDWR | O_NOCTTY);  // else the text is gone when the tool closes it
  outcome o;
  o.exit_code = spawn(std::move(arguments), streams_ / "out", ptsname(terminal));
  o.out = contents(streams_ / "out");
  constexpr int patience = 200;  // milliseconds: the kernel hands the text on in its own time, and in pieces
  pollfd arrival{terminal, POLLIN, 0};
  char buffer[4096];
  while (poll(&arrival, 1, patience) > 0) {
    const ssize_t length = ::read(terminal, buffer, sizeof buffer);
    if (length <= 0) break;
    o.err.append(buffer, static_cast<std::size_t>(length));
  }
  close(held_open);
  close(terminal);
  return o;
}

}  // namespace tool_test
