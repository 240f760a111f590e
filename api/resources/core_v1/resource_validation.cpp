#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/resource_names.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

void check_quantity(FieldErrors& errors, const std::string& name, const Quantity& quantity,
                    const FieldPath& path) {
  if (quantity.sign() < 0) {
    errors.push_back(FieldError::invalid(path, quantity.to_string(), kNonNegative));
  }
  if (is_extended_resource(name) && !quantity.is_whole()) {
    errors.push_back(FieldError::invalid(path, quantity.to_string(), "must be an integer"));
  }
}

void check_against_limit(FieldErrors& errors, const std::string& name, const Quantity& request,
                         const ResourceList& limits, const FieldPath& path) {
  auto limit = limits.find(name);
  if (limit == limits.end()) {
    if (!may_overcommit(name)) {
      errors.push_back(FieldError::required(path.child("limits"),
                                            "Limit must be set for non overcommitable resources"));
    }
    return;
  }
  std::string_view relation;
  if (!may_overcommit(name) && request != limit->second) relation = "equal to";
  if (relation.empty() && request > limit->second) relation = "less than or equal to";
  if (relation.empty()) return;
  errors.push_back(FieldError::invalid(
      path.child("requests"), request.to_string(),
      fmt::format("must be {} {} limit of {}", relation, name, limit->second.to_string())));
}

bool has_cpu_or_memory(const ResourceList& list) {
  return list.contains("cpu") || list.contains("memory");
}

bool has_hugepages(const ResourceList& list) {
  return std::any_of(list.begin(), list.end(),
                     [](const auto& entry) { return is_hugepages(entry.first); });
}

}  // namespace

FieldErrors validate_resources(const Json& resources, const FieldPath& path) {
  FieldErrors errors;
  ResourceList limits = parse_resource_list(find_member(resources, "limits"));
  ResourceList requests = parse_resource_list(find_member(resources, "requests"));
  for (const auto& [name, quantity] : limits) {
    FieldPath at = path.child("limits").key(name);
    check_container_resource_name(errors, name, at);
    check_quantity(errors, name, quantity, at);
  }
  for (const auto& [name, quantity] : requests) {
    FieldPath at = path.child("requests").key(name);
    check_container_resource_name(errors, name, at);
    check_quantity(errors, name, quantity, at);
    check_against_limit(errors, name, quantity, limits, path);
  }
  bool huge = has_hugepages(limits) || has_hugepages(requests);
  if (huge && !has_cpu_or_memory(limits) && !has_cpu_or_memory(requests)) {
    errors.push_back(FieldError::forbidden(path, "HugePages require cpu or memory"));
  }
  return errors;
}

}  // namespace moth::resources
