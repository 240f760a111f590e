#pragma once
// Semantic defaults of pods and of pod templates (Deployment, ReplicaSet and so on share them).
// Idempotent, pure functions.
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"

namespace moth::resources {

// What a pod and a template have in common.
void set_pod_spec_defaults(Json& spec);
// A PodTemplateSpec.
void set_pod_template_defaults(Json& pod_template);
// A whole Pod: also requests from limits, service links, host ports of hostNetwork.
void set_pod_defaults(Json& pod);

// Always when the tag is latest or absent and there is no digest, else IfNotPresent.
std::string_view default_pull_policy(std::string_view image);
// Amounts finer than a thousandth are rounded up to one.
void round_resource_list(Json* list);

}  // namespace moth::resources
