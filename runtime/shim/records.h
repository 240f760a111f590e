#pragma once
// The records that a shim leaves in a bundle. Internal to this folder.
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "runtime/shim/container.h"

namespace moth::shim {

// Of shim.state and of the record of a pause process.
Result<Started> parse_state(std::string_view text);
Result<Started> read_state(const std::string& path);
Result<Exit> parse_exit(std::string_view json);
// NotFound while the container runs.
Result<Exit> read_exit(const std::string& bundle);
// The words of the OCI runtime: the message of the last error in its log; empty when there is none.
std::string runtime_error(const std::string& bundle);

WallTime wall_of_ns(std::uint64_t nanoseconds);

}  // namespace moth::shim
