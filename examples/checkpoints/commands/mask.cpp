// tsenor mask: transposable masks of the weights of a checkpoint, into a file of masks.
#include <map>

#include "npy.hpp"
#include "print.hpp"
#include "rewrite.hpp"
#include "safetensors.hpp"
#include "search.hpp"

namespace tool {
namespace {

// The masks of the chosen tensors in one file, and where each of them begins in it.
class mask_file {
 public:
  mask_file(const std::filesystem::path& path, file_kind kind, const std::vector<selected_tensor>& chosen)
      : out_(path, staged_output::shape::file) {
    std::vector<tensor_entry> masks;
    for (const selected_tensor& t : chosen) masks.push_back(t.tensor);
    const std::string header =
        kind == file_kind::npy ? npy_mask_header(masks.front().rows(), masks.front().cols()) : mask_file_header(masks);
    if (kind == file_kind::npy) masks.front().offset = header.size();
    out_.require_room(header.size() + weights_of(chosen));
    out_.write(0, header.data(), header.size());
    for (const tensor_entry& mask : masks) begins_.emplace(mask.name, mask.offset);
  }

  void write(const selected_tensor& t, const block& part, const solution& found) {
    out_.write(begins_.at(t.tensor.name) + part.offset, found.mask.data(), found.mask.size());
  }
  void commit() { out_.commit(); }

 private:
  staged_output out_;
  std::map<std::string, std::uint64_t> begins_;
};

}  // namespace

exit_code mask(const settings& s) {
  const checkpoint in(s.in);
  refuse_overlap(in, s.out);
  const tsenor::options& options = s.methods.front();
  const selection chosen =
      select_tensors(in.path().string(), in.tensors(), rule_for(in, s.patterns.front(), options.edge, s));
  const std::unique_ptr<solver> machine = make_solver(s.device);
  mask_file out(s.out, in.kind(), chosen.chosen);
  std::vector<result> results;
  {
    progress_bar progress(weights_of(chosen.chosen));
    for (const selected_tensor& t : chosen.chosen)
      results.push_back(search_tensor(
          in, t, options, *machine, s, progress,
          [&](const selected_tensor& of, const block& part, const solution& found) { out.write(of, part, found); }));
  }
  out.commit();
  print(results, s, machine->device());
  print_rest(chosen, in, s.json);
  flush_output();
  return exit_code::success;
}

}  // namespace tool
