#include <cstdio>

#include "api/base/log.h"
#include "daemon/application.h"
#include "daemon/config.h"

int main(int argc, char** argv) {
  moth::ParsedConfig parsed = moth::parse_command_line(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  if (auto valid = moth::validate(parsed.config); !valid) {
    std::fprintf(stderr, "mothd: %s\n", valid.error().message.c_str());
    return 2;
  }
  return moth::Application(std::move(parsed.config)).run();
}
