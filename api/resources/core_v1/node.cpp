#include <fmt/format.h>

#include <set>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void set_defaults(Json& object) {
  Json* status = member(object, "status");
  if (!status) return;
  round_resource_list(member(*status, "capacity"));
  round_resource_list(member(*status, "allocatable"));
  // Without reservations everything is allocatable.
  if (const Json* capacity = member(*status, "capacity");
      capacity && !has(*status, "allocatable")) {
    Json copy = *capacity;
    (*status)["allocatable"] = std::move(copy);
  }
}

void check_amounts(FieldErrors& errors, const Json& status, std::string_view key,
                   const FieldPath& path) {
  for (const auto& [name, quantity] : parse_resource_list(find_member(status, key))) {
    if (quantity.sign() >= 0) continue;
    errors.push_back(
        FieldError::invalid(path.child(key).key(name), quantity.to_string(), kNonNegative));
  }
}

FieldErrors validate(const Json& object) {
  // Upstream reports taints below metadata.
  FieldErrors errors =
      validate_taints(items(object_of(object, "spec"), "taints"), FieldPath("metadata.taints"));
  const Json& status = object_of(object, "status");
  check_amounts(errors, status, "capacity", FieldPath("status"));
  check_amounts(errors, status, "allocatable", FieldPath("status"));
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  const Json& spec = object_of(object, "spec");
  const Json& before = object_of(old, "spec");
  for (std::string_view key : {"podCIDR", "providerID"}) {
    std::string was = string_or(before, key);
    if (was.empty() || was == string_or(spec, key)) continue;
    errors.push_back(FieldError::forbidden(
        FieldPath("spec").child(key == "podCIDR" ? "podCIDRs" : key),
        fmt::format("node updates may not change {} except from \"\" to valid", key)));
  }
  return errors;
}

std::string status_cell(const Json& node) {
  const Json* ready = find_condition(node, "Ready");
  // A condition whose status is Unknown counts as not ready; Unknown is a node without one.
  std::string text = !ready                                  ? "Unknown"
                     : string_or(*ready, "status") == "True" ? "Ready"
                                                             : "NotReady";
  if (bool_or(object_of(node, "spec"), "unschedulable")) text += ",SchedulingDisabled";
  return text;
}

std::string roles_cell(const Json& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : object_of(object_of(node, "metadata"), "labels").items()) {
    if (key.starts_with(kPrefix) && key.size() > kPrefix.size()) {
      roles.insert(key.substr(kPrefix.size()));
    } else if (key == "kubernetes.io/role" && value.is_string() && !value.empty()) {
      roles.insert(value.get<std::string>());
    }
  }
  return or_none(join({roles.begin(), roles.end()}, ","));
}

std::string address_cell(const Json& status, std::string_view type) {
  for (const Json& address : items(status, "addresses")) {
    if (string_or(address, "type") == type) return string_or(address, "address");
  }
  return "<none>";
}

Json cells(const Json& node, const RowContext& context) {
  const Json& status = object_of(node, "status");
  const Json& info = object_of(status, "nodeInfo");
  auto known = [&](std::string_view key) {
    std::string text = string_or(info, key);
    return text.empty() ? std::string("<unknown>") : text;
  };
  return Json::array({name_cell(node), status_cell(node), roles_cell(node), age_cell(node, context),
                      string_or(info, "kubeletVersion"), address_cell(status, "InternalIP"),
                      address_cell(status, "ExternalIP"), known("osImage"), known("kernelVersion"),
                      known("containerRuntimeVersion")});
}

}  // namespace

ResourceDef nodes() {
  ResourceDef row = row_of("", "v1", "nodes", "node", "Node", "core.v1.Node");
  row.namespaced = false;
  row.short_names = {"no"};
  row.subresources = {{"proxy", {"", "v1", "NodeProxyOptions"}, kProxyVerbs},
                      own_subresource(row, "status")};
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.selectable_fields = {"spec.unschedulable"};
  row.field = [](const Json& object, std::string_view) -> std::string {
    return bool_or(object_of(object, "spec"), "unschedulable") ? "true" : "false";
  };
  row.columns = columns(
      {column("Name", "Name of the node"), column("Status", "Whether the node takes and runs pods"),
       column("Roles", "Roles from the labels node-role.kubernetes.io/..."),
       column("Age", "Time since creation"), column("Version", "Version of the node's agent"),
       column("Internal-IP", "Address inside the cluster", "string", 1),
       column("External-IP", "Address from outside", "string", 1),
       column("OS-Image", "Operating system", "string", 1),
       column("Kernel-Version", "Version of the kernel", "string", 1),
       column("Container-Runtime", "Runtime and its version", "string", 1)});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
