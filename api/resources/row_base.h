#pragma once
// What rows begin with.
#include <string>
#include <utility>
#include <vector>

#include "api/machinery/names.h"
#include "api/resources/registry.h"

namespace moth::resources {

// A namespaced kind of `group`/`version` with the schema type `type_name`.
inline ResourceDef row_of(std::string group, std::string version, std::string resource,
                          std::string singular, std::string kind, std::string type_name) {
  ResourceDef row;
  row.group = std::move(group);
  row.version = std::move(version);
  row.resource = std::move(resource);
  row.singular = std::move(singular);
  row.kind = std::move(kind);
  row.type_name = std::move(type_name);
  row.validate_name = check_dns1123_subdomain;
  return row;
}

// Of a subresource that passes requests of every method on.
inline constexpr unsigned kProxyVerbs = kGet | kCreate | kUpdate | kPatch | kDelete;

// A subresource that answers with the kind of its parent.
inline Subresource own_subresource(const ResourceDef& row, std::string name) {
  return {std::move(name), row.gvk()};
}

inline Subresource scale_subresource() {
  return {"scale", {"autoscaling", "v1", "Scale"}};
}

}  // namespace moth::resources
