#include "api/resources/core_v1/pod_subresources.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"
#include "api/resources/json_diff.h"

namespace moth::resources {
namespace {

constexpr std::string_view kContainerLists[] = {"containers", "initContainers"};

void take_member(Json& to, const Json& from, const std::string& key) {
  if (const Json* value = member(from, key)) {
    to[key] = *value;
  } else {
    to.erase(key);
  }
}

bool same_names(const Json& spec, const Json& old, std::string_view list) {
  const Json& now = items(spec, list);
  const Json& before = items(old, list);
  if (now.size() != before.size()) return false;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (string_or(now[i], "name") != string_or(before[i], "name")) return false;
  }
  return true;
}

void check_same_containers(FieldErrors& errors, const Json& spec, const Json& old,
                           const FieldPath& path) {
  for (std::string_view list : kContainerLists) {
    if (items(spec, list).size() == items(old, list).size()) continue;
    errors.push_back(FieldError::forbidden(
        path.child(list), fmt::format("{} may not be added or removed on resize", list)));
  }
  if (!errors.empty()) return;
  for (std::string_view list : kContainerLists) {
    const Json& before = items(old, list);
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (string_or(items(spec, list)[i], "name") == string_or(before[i], "name")) continue;
      errors.push_back(
          FieldError::forbidden(path.child(list).index(i).child("name"),
                                fmt::format("{} may not be renamed or reordered on resize", list)));
    }
  }
}

void check_none_removed(FieldErrors& errors, const Json& container, const Json& old,
                        const FieldPath& path) {
  for (std::string_view which : {"requests", "limits"}) {
    const Json& now = object_of(object_of(container, "resources"), which);
    for (const auto& [name, value] : object_of(object_of(old, "resources"), which).items()) {
      if (now.contains(name)) continue;
      errors.push_back(FieldError::forbidden(path.child("resources", which),
                                             fmt::format("resource {} cannot be removed", which)));
      break;
    }
  }
}

// The container with what may change set back to that of `old`.
Json with_cpu_and_memory_of(Json container, const Json& old) {
  for (std::string_view which : {"requests", "limits"}) {
    const Json& before = object_of(object_of(old, "resources"), which);
    Json now = object_of(object_of(container, "resources"), which);
    for (const char* name : {"cpu", "memory"}) take_member(now, before, name);
    Json& resources = object_at(container, "resources");
    if (now.empty() && !has(object_of(old, "resources"), which)) {
      resources.erase(std::string(which));
    } else {
      resources[std::string(which)] = std::move(now);
    }
  }
  if (!has(old, "resources") && object_of(container, "resources").empty()) {
    container.erase("resources");
  }
  take_member(container, old, "resizePolicy");
  return container;
}

void check_mutable_parts(FieldErrors& errors, const Json& spec, const Json& old,
                         const FieldPath& path) {
  const Json& apps = items(spec, "containers");
  for (std::size_t i = 0; i < apps.size(); ++i) {
    const Json& before = items(old, "containers")[i];
    if (with_cpu_and_memory_of(apps[i], before) == before) continue;
    errors.push_back(FieldError::forbidden(path, "only cpu and memory resources are mutable"));
  }
  const Json& inits = items(spec, "initContainers");
  for (std::size_t i = 0; i < inits.size(); ++i) {
    const Json& before = items(old, "initContainers")[i];
    if (string_or(before, "restartPolicy") != "Always") {
      if (inits[i] == before) continue;
      errors.push_back(
          FieldError::forbidden(path, "resources for non-sidecar init containers are immutable"));
    } else if (with_cpu_and_memory_of(inits[i], before) != before) {
      errors.push_back(FieldError::forbidden(
          path, "only cpu and memory resources for sidecar containers are mutable"));
    }
  }
}

}  // namespace

void take_ephemeral_containers(Json& pod, const Json& wanted, WallTime) {
  take_member(object_at(pod, "spec"), object_of(wanted, "spec"), "ephemeralContainers");
}

FieldErrors validate_ephemeral_containers(const Json& pod, const Json& old) {
  FieldPath path("spec");
  const Json& spec = object_of(pod, "spec");
  FieldErrors errors = validate_pod_spec(spec, path, {});
  FieldPath at = path.child("ephemeralContainers");
  const Json& now = items(spec, "ephemeralContainers");
  for (const Json& before : items(object_of(old, "spec"), "ephemeralContainers")) {
    std::string name = string_or(before, "name");
    auto found = std::find_if(now.begin(), now.end(), [&](const Json& container) {
      return string_or(container, "name") == name;
    });
    if (found == now.end()) {
      errors.push_back(FieldError::forbidden(
          at, fmt::format("existing ephemeral containers \"{}\" may not be removed\n", name)));
    } else if (*found != before) {
      errors.push_back(FieldError::forbidden(
          at, fmt::format("existing ephemeral containers \"{}\" may not be changed\n{}", name,
                          json_diff(before, *found, FieldPath()))));
    }
  }
  return errors;
}

void take_resize(Json& pod, const Json& wanted, WallTime) {
  Json& spec = object_at(pod, "spec");
  const Json& wish = object_of(wanted, "spec");
  for (std::string_view list : kContainerLists) {
    if (same_names(wish, spec, list)) continue;
    spec = wish;
    return;
  }
  for (std::string_view list : kContainerLists) {
    Json* containers = member(spec, list);
    if (!containers) continue;
    for (std::size_t i = 0; i < containers->size(); ++i) {
      take_member((*containers)[i], items(wish, list)[i], "resources");
      take_member((*containers)[i], items(wish, list)[i], "resizePolicy");
    }
  }
}

FieldErrors validate_resize(const Json& pod, const Json& old_pod) {
  FieldPath path("spec");
  const Json& spec = object_of(pod, "spec");
  const Json& old = object_of(old_pod, "spec");
  FieldErrors errors;
  check_same_containers(errors, spec, old, path);
  if (!errors.empty()) return errors;
  errors = validate_pod_spec(spec, path, {});
  for (std::string_view list : kContainerLists) {
    for (std::size_t i = 0; i < items(spec, list).size(); ++i) {
      check_none_removed(errors, items(spec, list)[i], items(old, list)[i],
                         path.child(list).index(i));
    }
  }
  std::string qos = qos_class(spec);
  if (qos != qos_class(old)) {
    errors.push_back(
        FieldError::invalid(path, qos, "Pod QOS Class may not change as a result of resizing"));
  }
  check_mutable_parts(errors, spec, old, path);
  return errors;
}

}  // namespace moth::resources
