/// \file
/// What the command line of tsenor_prune asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tsenor/pattern.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tool {

enum class device_choice { automatic, cpu, cuda };
enum class method_choice { magnitude, wanda, sparsegpt, alps };

/// A structure by the name that the command line gives it.
struct named_structure {
  std::string name;
  tsenor::prune::sparsity rule;
};

struct settings {
  std::filesystem::path in;
  std::string out;  ///< may hold {pattern} and {structure}
  std::optional<std::filesystem::path> gram;
  std::vector<tsenor::pattern> patterns;
  std::vector<named_structure> structures;
  method_choice method = method_choice::magnitude;
  device_choice device = device_choice::automatic;
  std::optional<std::string> select;  ///< an ECMAScript regular expression
  std::int64_t tokens = 1;
  int iterations = 300;
  int threads = 0;
  bool json = false;
};

const char* name_of(method_choice);
std::string text_of(tsenor::pattern);

/// The file for a pattern and structure.
std::filesystem::path output_path(const settings& s, tsenor::pattern pattern, const named_structure& structure);

/// Empty if the user asked for help, which has then been printed. Throws failure(exit_code::usage).
std::optional<settings> parse_command_line(int argc, char** argv);

}  // namespace tool
