#include "api/base/build_info.h"

#include "api/base/json.h"

namespace moth {

std::string_view compiled_platform() {
#if defined(__x86_64__)
  return "linux/amd64";
#elif defined(__aarch64__)
  return "linux/arm64";
#elif defined(__arm__)
  return "linux/arm";
#elif defined(__riscv)
  return "linux/riscv64";
#elif defined(__powerpc64__)
  return "linux/ppc64le";
#elif defined(__s390x__)
  return "linux/s390x";
#elif defined(__i386__)
  return "linux/386";
#else
#error "name this architecture as Go does"
#endif
}

Json version_document(std::string_view git_version, const BuildInfo& build) {
  return {{"major", "1"},
          {"minor", "36"},
          {"gitVersion", git_version},
          {"gitCommit", build.git_commit},
          {"gitTreeState", build.git_tree_state},
          {"buildDate", build.build_date},
          {"goVersion", "n/a"},
          {"compiler", "clang"},
          {"platform", compiled_platform()}};
}

}  // namespace moth
