#pragma once
// How to enter a container, as its config.json says.
#include <cstdint>
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::shim {

struct ExecContext {
  std::vector<std::string> env;
  std::string cwd = "/";
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;
  std::uint64_t capabilities = 0;  // bounding set; permitted and effective too
  bool no_new_privs = false;
  int oom_score_adj = 0;
  std::string seccomp_bpf_path;         // a compiled filter; empty: none
  std::vector<std::string> join_files;  // Manager::join_files of the container's group
};

// `spec` is the OCI config.json; seccomp_bpf_path and join_files stay empty. `capability_number`
// gives the number of "CAP_CHOWN", or less than 0.
Result<ExecContext> exec_context_of_spec(const Json& spec,
                                         int (*capability_number)(std::string_view name));

}  // namespace moth::shim
