// tsenor: N:M sparse checkpoints.
#include <csignal>

#include "commands.hpp"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk
  return tool::exit_status_of("tsenor", [&] {
    const auto settings = tool::parse_command_line(argc, argv);
    if (!settings) return tool::exit_code::success;
    switch (settings->command) {
      case tool::command::inspect:
        return tool::inspect(*settings);
      case tool::command::mask:
        return tool::mask(*settings);
      case tool::command::prune:
        return tool::prune(*settings);
      case tool::command::check:
        return tool::check(*settings);
      case tool::command::apply:
        break;
    }
    return tool::apply(*settings);
  });
}
