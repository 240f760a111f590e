#pragma once
// The RuntimeDefault seccomp profile for the native architecture alone (three architectures cost
// 25 ms a start, one 7), and its compiled form for the exec helper.
#include <string>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::oci {

// The linux.seccomp object. `capabilities` is the mask of what the container has: some calls are
// allowed only with one. `architecture` as Go names it.
Json default_seccomp(std::uint64_t capabilities, const std::string& architecture);

// A linux.seccomp object as an array of struct sock_filter, ready for seccomp(2). Invalid when the
// profile has an unknown action or operator; unknown system calls are skipped, as runc does.
Result<std::string> compile_seccomp(const Json& profile);

}  // namespace moth::oci
