#pragma once
// Commands inside a container through moth-shim --exec. Internal to this folder.
#include <memory>
#include <string>

#include "runtime/shim/client.h"
#include "runtime/shim/container.h"

namespace moth::shim {

struct ExecTarget {
  std::string shim_program;
  Started started;
  ExecContext context;
  int oom_score_adj_floor = 0;
};

Task<Result<std::unique_ptr<ExecSession>>> start_exec(const ExecTarget& target,
                                                      ExecRequest request);
Task<Result<ProbeResult>> run_exec(const ExecTarget& target, std::vector<std::string> argv,
                                   Duration timeout, std::size_t max_output);

}  // namespace moth::shim
