#pragma once
// Downward API: the values of fieldRef and resourceFieldRef. Pure; control thread (it reads the
// pod's view).
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

// A field of the pod as text: metadata.name, metadata.labels (all of them, one `key="value"` a
// line), metadata.annotations['k'], spec.nodeName, status.podIP ... Invalid for any other path.
Result<std::string> field_value(const PodContext& pod, std::string_view field_path);

// limits|requests .cpu .memory .ephemeral-storage .hugepages-*, divided and rounded up. An absent
// limit is what the node can allocate. `container_name` empty: `self`.
Result<std::string> resource_value(const resources::PodSpec& spec, const resources::Container* self,
                                   std::string_view container_name, std::string_view resource,
                                   const Quantity& divisor,
                                   const resources::ResourceList& node_allocatable);

}  // namespace moth::agent
