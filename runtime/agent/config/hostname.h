#pragma once
// The host name that a pod sees. Pure.
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

inline constexpr std::size_t kMaxHostName = 64;  // the kernel's

// spec.hostname or the pod's name (63 characters of it), its qualified name with
// setHostnameAsFQDN, the node's with hostNetwork. Invalid when the qualified name is too long.
Result<std::string> pod_hostname(const PodContext& pod, std::string_view node_hostname,
                                 std::string_view cluster_domain);

}  // namespace moth::agent
