#include <malloc.h>

#include <csignal>
#include <cstdio>

#include "api/base/log.h"
#include "daemon/application.h"
#include "daemon/config.h"

int main(int argc, char** argv) {
  // A full disk or a file-size quota is an error to be told, not a reason to die.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  // An arena per thread would multiply what a burst of work leaves behind.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
  moth::ParsedConfig parsed = moth::parse_command_line(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  if (auto valid = moth::validate(parsed.config); !valid) {
    std::fprintf(stderr, "mothd: %s\n", valid.error().message.c_str());
    return 2;
  }
  return moth::Application(std::move(parsed.config)).run();
}
