#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  tsenor_fuzz::read_as_file(tool::file_kind::folder, bytes, size);
  return 0;
}
