#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::array<std::string_view, 3> kContainerResources = {"cpu", "ephemeral-storage",
                                                                 "memory"};

bool is_container_resource(std::string_view name) {
  return is_hugepages(name) || std::find(kContainerResources.begin(), kContainerResources.end(),
                                         name) != kContainerResources.end();
}

bool may_overcommit(std::string_view name) {
  return !is_hugepages(name) && !is_extended_resource(name);
}

void check_resource_name(FieldErrors& errors, const std::string& name, const FieldPath& path) {
  Messages wrong = check_qualified_name(name);
  add_invalid(errors, path, name, wrong);
  if (name.find('/') == std::string::npos) {
    if (is_container_resource(name)) return;
    if (wrong.empty()) {
      errors.push_back(
          FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
    }
    errors.push_back(FieldError::invalid(path, name, "must be a standard resource for containers"));
  } else if (name.starts_with("requests.")) {
    errors.push_back(
        FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
  }
}

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
    check_resource_name(errors, name, at);
    check_quantity(errors, name, quantity, at);
  }
  for (const auto& [name, quantity] : requests) {
    FieldPath at = path.child("requests").key(name);
    check_resource_name(errors, name, at);
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
