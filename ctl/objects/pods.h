#pragma once
// Pods behind a word: `web-0`, `pod/web-0`, `deploy/web`, `svc/web`; and the container that is
// meant.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

// The label selector of the pods that an object stands for, as text: of a Service, Deployment,
// ReplicaSet, StatefulSet, DaemonSet, Job, ReplicationController.
Outcome<std::string> pod_selector(const Json& object);

// The pods of `word`, best first: assigned, running, ready, with few restarts. Fails when there is
// none.
Outcome<std::vector<Json>> pods_behind(Context& context, const std::string& word);

// The container to use: `wanted`, the pod's default-container annotation, or the first one, of
// which stderr is told when there are several and `quiet` is false.
Outcome<std::string> choose_container(Context& context, const Json& pod, const std::string& wanted,
                                      bool quiet);
// All containers, init containers first when `with_init`.
std::vector<std::string> container_names(const Json& pod, bool with_init);

std::string pod_name(const Json& pod);
std::string pod_namespace(const Json& pod);
bool pod_ready(const Json& pod);

}  // namespace moth::ctl
