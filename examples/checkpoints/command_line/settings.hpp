/// \file
/// What the command line asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "name_filter.hpp"
#include "pattern_rules.hpp"
#include "tsenor/options.hpp"
#include "tsenor/prune/sparsity.hpp"

namespace tool {

enum class command { inspect, mask, prune, check, apply };
enum class device_choice { automatic, cpu, cuda };
enum class importance_choice { magnitude, squared };
enum class pruning_method { magnitude, wanda, sparsegpt, alps };

/// Row and column of a tile among the tiles of a matrix, from 0.
struct tile_index {
  std::int64_t row = 0, col = 0;
};

/// A structure by the name that the command line gives it.
struct named_structure {
  std::string name;
  tsenor::prune::sparsity rule;
};

struct settings {
  tool::command command = tool::command::inspect;
  std::filesystem::path in, out;
  std::filesystem::path masks;                ///< of apply
  std::optional<std::filesystem::path> gram;  ///< of prune
  std::vector<pattern_rules> patterns;        ///< one set of rules for each run over the tensors
  std::vector<tsenor::options> methods;       ///< of inspect and mask, one for each method, all with the same edge
  std::vector<named_structure> structures;    ///< of prune and check
  pruning_method method = pruning_method::magnitude;
  importance_choice importance = importance_choice::magnitude;
  device_choice device = device_choice::automatic;
  std::optional<name_filter> select, transposed;
  std::optional<tile_index> picture;  ///< of inspect: `out` gets a picture of this tile
  std::int64_t tokens = 1;
  int iterations = 300;
  int threads = 0;  ///< 0: one for each hardware thread
  bool json = false;
};

/// The names that the command line and the output use.
const char* name_of(importance_choice);
const char* name_of(pruning_method);
const char* name_of(tsenor::method);
const char* name_of(tsenor::constraint);

/// The file for a set of rules and a structure: that of OUT, with {pattern} and {structure} filled in.
std::filesystem::path output_path(const settings& s, const pattern_rules& rules, const named_structure& structure);

/// Empty if the user asked for help, which has then been printed. Throws failure(exit_code::usage).
std::optional<settings> parse_command_line(int argc, char** argv);

}  // namespace tool
