#include "fuzz_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "expect.hpp"
#include "plan.hpp"
#include "tensor_file.hpp"

namespace tsenor_fuzz {
namespace {

// A file in memory that is written anew for every input.
class memory_file {
 public:
  memory_file() : descriptor_(memfd_create("fuzz", 0)) { expect(descriptor_ >= 0, "no file in memory"); }
  ~memory_file() { close(descriptor_); }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  void write(const std::uint8_t* bytes, std::size_t size) {
    expect(ftruncate(descriptor_, 0) == 0, "the file in memory cannot be emptied");
    expect(pwrite(descriptor_, bytes, size, 0) == static_cast<ssize_t>(size), "the file in memory cannot be written");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

tool::settings settings_for(tool::file_kind kind) {
  tool::settings s;
  s.kind = kind;
  s.patterns = {{2, 4}, {4, 8}};
  s.methods = {tsenor::options::optimal()};
  return s;
}

void expect_inside(const tool::input_file& file, const tool::tensor_entry& tensor) {
  expect(tensor.offset <= file.size() && tensor.bytes <= file.size() - tensor.offset,
         "a tensor reaches out of its file");
}

void expect_whole(tool::input_file& file, const tool::task& task) {
  tool::matrix m = tool::read_matrix(file, task.tensor);
  expect(m.rows > 0 && m.cols > 0 && m.rows % task.pattern.m == 0 && m.cols % task.pattern.m == 0,
         "a matrix that does not fit its pattern");
  const auto elements = static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols);
  const std::size_t unit = tool::visit_weights(m, [](const auto* weights) { return sizeof *weights; });
  expect(m.data.size() == elements * unit, "a matrix of another size than its shape says");
}

}  // namespace

void read_as_file(tool::file_kind kind, const std::uint8_t* bytes, std::size_t size) {
  static memory_file memory;
  memory.write(bytes, size);
  try {
    tool::input_file file(memory.path());
    const auto tensors = tool::read_header(file, kind);
    for (const tool::tensor_entry& tensor : tensors) expect_inside(file, tensor);
    for (const tool::task& task : tool::make_plan(file, tensors, settings_for(kind)).tasks) expect_whole(file, task);
  } catch (const tool::failure& f) {  // anything else ends the program
    expect(f.code() == tool::exit_code::input, "a damaged file is not the command line's fault");
    expect(std::string(f.what()).find('\n') == std::string::npos, "a message of more than one line");
  }
}

}  // namespace tsenor_fuzz
