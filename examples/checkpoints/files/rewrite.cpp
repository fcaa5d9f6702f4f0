#include "rewrite.hpp"

#include <algorithm>

namespace tool {
namespace {

namespace fs = std::filesystem;

// `changed` are in the order of their data.
void rewrite_file(const input_file& from, staged_output& to, const std::vector<const tensor_entry*>& changed,
                  const std::function<void(const tensor_entry&, const tensor_writer&)>& change) {
  std::uint64_t done = 0;
  for (const tensor_entry* t : changed) {
    copy_range(from, to, done, t->offset);
    change(*t, [&](std::uint64_t offset, const std::vector<std::byte>& data) {
      to.write(t->offset + offset, data.data(), data.size());
    });
    done = t->offset + t->bytes;
  }
  copy_range(from, to, done, from.size());
}

std::uint64_t size_of(const checkpoint& in) {
  std::uint64_t bytes = 0;
  for (const input_file& file : in.files()) bytes += file.size();
  return bytes;
}

}  // namespace

void rewrite(const checkpoint& in, const fs::path& path, std::vector<const tensor_entry*> changed,
             const std::function<void(const tensor_entry&, const tensor_writer&)>& change) {
  const bool folder = in.kind() == file_kind::folder;
  staged_output out(path, folder ? staged_output::shape::folder : staged_output::shape::file);
  out.require_room(size_of(in));
  std::sort(changed.begin(), changed.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (std::size_t k = 0; k < in.files().size(); ++k) {
    std::vector<const tensor_entry*> here;
    std::copy_if(changed.begin(), changed.end(), std::back_inserter(here), [&](const auto* t) { return t->file == k; });
    if (folder) out.begin(in.files()[k].path().filename().string());
    rewrite_file(in.files()[k], out, here, change);
  }
  for (const fs::path& companion : in.companions()) {
    const input_file file(companion);
    out.begin(companion.filename().string());
    copy_range(file, out, 0, file.size());
  }
  out.commit();
}

void refuse_overlap(const checkpoint& read, const fs::path& out) {
  std::error_code error;
  bool overlaps = fs::equivalent(read.path(), out, error);
  for (const input_file& file : read.files()) overlaps = overlaps || fs::equivalent(file.path(), out, error);
  const fs::path whole = fs::weakly_canonical(fs::absolute(out, error), error);  // a new file's path may be relative
  if (read.kind() == file_kind::folder)
    for (fs::path above = whole; above.has_relative_path(); above = above.parent_path())
      overlaps = overlaps || fs::equivalent(read.path(), above, error);
  if (overlaps)
    throw failure(exit_code::usage, "OUT " + in_quotes(out.string()) + " is, or lies in, " +
                                        in_quotes(read.path().string()) + ", which is read; choose another OUT");
}

}  // namespace tool
