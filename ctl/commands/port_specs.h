#pragma once
// The ports of `port-forward`: what the words mean for the pod or service they are meant for. Pure.
#include <cstdint>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/failure.h"

namespace moth::ctl {

struct ForwardedPort {
  std::uint16_t local = 0;   // 0: a free one
  std::uint16_t remote = 0;  // in the pod
};

// LOCAL:REMOTE, PORT, :REMOTE; names are ports of `object` (a Service's by its own name or number,
// led on to the pod's; else container ports of `pod`).
Outcome<std::vector<ForwardedPort>> parse_ports(const std::vector<std::string>& words,
                                                const Json& object, const Json& pod);

}  // namespace moth::ctl
