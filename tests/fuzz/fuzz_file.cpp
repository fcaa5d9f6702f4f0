// The readers of checkpoints on any bytes: they take a file of the kind TSENOR_FUZZ_KIND or say in one line why not,
// and what they took is what they say. A folder stands for its index, beside two shards that are right.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "checkpoint.hpp"
#include "convert.hpp"
#include "index.hpp"
#include "input.hpp"
#include "selection.hpp"

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

void expect_inside(const tool::input_file& file, const tool::tensor_entry& tensor) {
  expect(tensor.offset <= file.size() && tensor.bytes <= file.size() - tensor.offset,
         "a tensor reaches out of its file");
}

void expect_whole(const tool::input_file& file, const tool::selected_tensor& chosen) {
  const tool::tensor_entry& t = chosen.tensor;
  std::uint64_t elements = 0;
  for (const tool::block& part : tool::blocks_of(t, chosen.pattern.m, 64)) {
    const tool::matrix m = tool::read_matrix(file, t, part);
    expect(m.rows > 0 && m.cols > 0 && m.rows % chosen.pattern.m == 0 && m.cols % chosen.pattern.m == 0,
           "a matrix that does not fit its pattern");
    expect(tool::nonzeros(m.data, t).size() == part.size() && tool::to_floats(m).values.size() == part.size(),
           "a matrix of another size than its shape says");
    elements += part.size();
  }
  expect(elements * t.bits / 8 == t.bytes, "blocks that are not the whole tensor");
}

void read_tensors(const tool::input_file& file, tool::file_kind kind) {
  const auto tensors = tool::read_header(file, kind);
  for (const tool::tensor_entry& tensor : tensors) expect_inside(file, tensor);
  const std::map<std::string, std::string> remarks;
  tool::selection_rule rule;
  rule.patterns = {{"*a*", {2, 4}}, {"*", {4, 8}}};
  rule.one_matrix = kind == tool::file_kind::npy;
  rule.remarks = &remarks;
  const tool::selection chosen = tool::select_tensors("a file", tensors, rule);
  expect(chosen.chosen.size() + chosen.dense.size() == tensors.size(), "a tensor that is neither chosen nor dense");
  for (const tool::selected_tensor& t : chosen.chosen) expect_whole(file, t);
}

tool::tensor_entry named(const char* name) {
  tool::tensor_entry t;
  t.name = name;
  return t;
}

// An index beside the shards a.safetensors, which holds x and y, and b.safetensors, which holds z.
void read_as_index(const tool::input_file& file) {
  const tool::weight_map index = tool::read_index(file);
  const std::vector<std::string> shards = tool::shards_of(index);
  std::vector<std::vector<tool::tensor_entry>> tensors;
  for (const std::string& shard : shards) {
    expect(shard.find('/') == std::string::npos, "a shard outside of its folder");
    if (shard == "a.safetensors") tensors.push_back({named("x"), named("y")});
    if (shard == "b.safetensors") tensors.push_back({named("z")});
    if (shard != "a.safetensors" && shard != "b.safetensors") tensors.emplace_back();
  }
  bool right = true;
  for (const auto& [name, shard] : index)
    right = right && shard == (name == "z" ? "b.safetensors" : "a.safetensors") &&
            (name == "x" || name == "y" || name == "z");
  expect(tool::contradictions(index, tensors).empty() == right, "a wrong index is taken, or a right one refused");
}

}  // namespace
}  // namespace tsenor_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace tsenor_fuzz;
  constexpr tool::file_kind kind = tool::file_kind::TSENOR_FUZZ_KIND;
  static memory_file memory;
  memory.write(bytes, size);
  try {
    const tool::input_file file(memory.path());
    kind == tool::file_kind::folder ? read_as_index(file) : read_tensors(file, kind);
  } catch (const tool::failure& f) {  // anything else ends the program
    expect(f.code() == tool::exit_code::input, "a damaged file is not the command line's fault");
    expect(std::string(f.what()).find('\n') == std::string::npos, "a message of more than one line");
  }
  return 0;
}
