/// \file
/// How the program treats its command line with CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "failure.hpp"

namespace tool {

/// CLI11's messages may span lines and may repeat what was typed; errors of the program are one line.
inline std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

/// Whether there is something to do: false where the help was asked for, and printed. Wrong usage is a
/// failure(exit_code::usage) of one line that names the command whose help tells more.
inline bool parse_or_help(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return false;
  } catch (const CLI::ParseError& error) {
    const auto commands = app.get_subcommands();
    const std::string command = commands.empty() ? "" : " " + commands.front()->get_name();
    throw failure(exit_code::usage, one_line(error.what()) + "; see " + app.get_name() + command + " --help");
  }
}

}  // namespace tool
