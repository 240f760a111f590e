#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "ctl/cli/context.h"
#include "ctl/cli/terminal.h"
#include "ctl/commands/all.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  moth::ctl::Streams streams{std::cin, std::cout, std::cerr, moth::ctl::colours_wanted()};
  moth::ctl::Command root = moth::ctl::all_commands();
  int code = moth::ctl::run_command_line(root, {argv + 1, argv + argc}, streams);
  std::cout.flush();
  std::cerr.flush();
  // A thread may still wait for the keyboard; nothing else is left to be put away.
  std::_Exit(code);
}
