/// \file
/// How the tools treat their command lines with CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "command_line.hpp"
#include "failure.hpp"

namespace tool {

/// Whether there is something to do: false where the help was asked for, and printed. Wrong usage is a
/// failure(exit_code::usage) of one line that names the tool.
inline bool parse_or_help(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return false;
  } catch (const CLI::ParseError& error) {
    throw failure(exit_code::usage, one_line(error.what()) + "; see " + app.get_name() + " --help");
  }
}

}  // namespace tool
