#pragma once
// What commands get from elsewhere than the API server. Blocking calls.
#include <string>
#include <vector>

#include "ctl/cli/failure.h"

namespace moth::ctl {

// The body behind an http or https address, redirects followed; the system's trust store. At most
// 64 MiB. Fails unless the answer is 200, with the address in the message.
Outcome<std::string> fetch_url(const std::string& url);

// Output of a program of the PATH; its stderr is ours. Fails when it cannot be run or ends with
// another code than 0.
Outcome<std::string> output_of(const std::vector<std::string>& command);
// Runs a program on our own stdin, stdout and stderr; its exit code, 127 when it cannot be run.
int run_program(const std::vector<std::string>& command);
// A program of that name is on the PATH.
bool program_exists(const std::string& name);

// Runs `kustomize build` or `kubectl kustomize`, whichever there is; moth has none of its own and
// says so when neither is there.
Outcome<std::string> kustomize_build(const std::string& folder);

}  // namespace moth::ctl
