#pragma once
// Kernel settings below /proc/sys of the calling thread's namespace. Blocking (microseconds).
#include <string>
#include <string_view>

#include "api/base/result.h"

namespace moth::network {

// `name` as a path: "net/ipv4/ip_forward".
Result<> write_sysctl(const std::string& name, std::string_view value);
// Without the final newline. NotFound when the kernel has no such setting.
Result<std::string> read_sysctl(const std::string& name);
// Leaves a value alone that is right already. A setting that the kernel does not have (no IPv6,
// say) or that is read-only here is not an error.
void try_sysctl(const std::string& name, std::string_view value);

}  // namespace moth::network
