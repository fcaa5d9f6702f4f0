/// \file
/// The command line as typed, and its options as CLI11 knows them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace tool {

/// The strings as typed; their meaning is worked out after CLI11 has checked them.
struct arguments {
  std::string in, out, masks, gram, svg, select, transposed;
  std::vector<std::string> patterns, methods = {"optimal"}, structures = {"transposable"};
  std::string method = "magnitude", device = "auto", constraint, edge = "reject", importance = "magnitude";
  std::vector<std::int64_t> tile = {0, 0};
  std::int64_t tokens = 1;
  int iterations = 300, threads = 0;
  bool json = false;
};

/// Adds the five commands and what each of them takes.
void declare_commands(CLI::App& app, arguments& raw);

}  // namespace tool
