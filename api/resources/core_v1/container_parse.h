#pragma once
// Decoding of the parts of a pod spec into pod_spec.h. Internal to core_v1.
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/resources/core_v1/pod_spec.h"

namespace moth::resources {

Container parse_container(const Json& json, Container::Kind kind, const PodSecurity& pod);
std::optional<SecurityProfile> parse_profile(const Json& owner, std::string_view key);
PullPolicy parse_pull_policy(std::string_view text, PullPolicy fallback);
RestartPolicy parse_restart_policy(std::string_view text);
Volume parse_volume(const Json& json, std::string_view pod_name);
Affinity parse_affinity(const Json& json);
std::vector<Toleration> parse_tolerations(const Json& list);
std::vector<Taint> parse_taints(const Json& list);
std::vector<TopologySpreadConstraint> parse_topology_spread(const Json& list);

}  // namespace moth::resources
