// moth-shim: what stays with a container when mothd goes. See ../protocol.h and shim.h.
#include <string.h>
#include <unistd.h>

#include "runtime/shim/program/shim.h"

#ifndef MOTH_VERSION
#define MOTH_VERSION "unknown"
#endif

int main(int argc, char** argv) {
  if (argc < 2) usage("no mode given");
  if (!strcmp(argv[1], "--run")) return supervise_main(argc, argv);
  if (!strcmp(argv[1], "--exec")) return exec_main(argc, argv);
  if (!strcmp(argv[1], "--pause")) return pause_main(argc, argv);
  if (!strcmp(argv[1], "--version")) {
    static const char version[] = "moth-shim " MOTH_VERSION "\n";
    return write(1, version, sizeof version - 1) < 0;
  }
  usage(argv[1]);
}
