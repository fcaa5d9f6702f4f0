/// \file
/// What the command line asks for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tensor_file.hpp"
#include "tsenor/options.hpp"
#include "tsenor/pattern.hpp"

namespace tool {

enum class device_choice { automatic, cpu, cuda };
enum class importance_choice { magnitude, squared };

/// Row and column of a tile among the tiles of a matrix, from 0.
struct tile_index {
  std::int64_t row = 0, col = 0;
};

struct settings {
  std::filesystem::path in;
  std::optional<std::filesystem::path> out;
  std::optional<tile_index> picture;  ///< `out` gets a picture of this tile, and nothing else
  file_kind kind = file_kind::npy;    ///< of `in`, and of `out` but for a picture, by their endings
  std::vector<tsenor::pattern> patterns;
  std::vector<tsenor::options> methods;  ///< one for each method, all with the same edge
  device_choice device = device_choice::automatic;
  importance_choice importance = importance_choice::magnitude;
  std::optional<std::string> select;  ///< an ECMAScript regular expression
  int threads = 0;                    ///< 0: one for each hardware thread
  bool json = false;
};

/// The names that the command line and the output use.
const char* name_of(importance_choice);
const char* name_of(tsenor::method);
const char* name_of(tsenor::constraint);

/// Empty if the user asked for help, which has then been printed. Throws failure(exit_code::usage).
std::optional<settings> parse_command_line(int argc, char** argv);

}  // namespace tool
