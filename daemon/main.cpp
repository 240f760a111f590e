#include <csignal>
#include <cstdio>

#include "api/base/log.h"
#include "daemon/application.h"
#include "daemon/config.h"

int main(int argc, char** argv) {
  // A full disk or a file-size quota is an error to be told, not a reason to die.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  moth::ParsedConfig parsed = moth::parse_command_line(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  if (auto valid = moth::validate(parsed.config); !valid) {
    std::fprintf(stderr, "mothd: %s\n", valid.error().message.c_str());
    return 2;
  }
  return moth::Application(std::move(parsed.config)).run();
}
