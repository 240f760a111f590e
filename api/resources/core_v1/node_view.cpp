#include "api/resources/core_v1/node_view.h"

#include "api/resources/core_v1/container_parse.h"
#include "api/resources/core_v1/parse.h"

namespace moth::resources {

NodeView::NodeView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  unschedulable = bool_or(spec, "unschedulable");
  taints = parse_taints(items(spec, "taints"));
  pod_cidr = string_or(spec, "podCIDR");
  const Json& status = object_of(*dom, "status");
  capacity = parse_resource_list(find_member(status, "capacity"));
  allocatable = parse_resource_list(find_member(status, "allocatable"));
  conditions = parse_conditions(items(status, "conditions"));
  for (const Json& entry : items(status, "addresses")) {
    addresses.push_back({string_or(entry, "type"), string_or(entry, "address")});
  }
  for (const Json& entry : items(status, "images")) {
    images.push_back({strings(entry, "names"), int_or(entry, "sizeBytes")});
  }
}

const Condition* NodeView::condition(std::string_view type) const {
  return find_condition(conditions, type);
}

bool NodeView::is_ready() const {
  const Condition* ready = condition("Ready");
  return ready && ready->is_true();
}

std::string NodeView::internal_ip() const {
  for (const NodeAddress& entry : addresses) {
    if (entry.type == "InternalIP") return entry.address;
  }
  return "";
}

std::string NodeView::hostname() const {
  for (const NodeAddress& entry : addresses) {
    if (entry.type == "Hostname") return entry.address;
  }
  return name();
}

}  // namespace moth::resources
