#include <fmt/format.h>

#include <map>

#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

struct DeprecatedLabel {
  std::string_view name, text;
};
constexpr DeprecatedLabel kDeprecatedNodeLabels[] = {
    {"beta.kubernetes.io/arch", R"(deprecated since v1.14; use "kubernetes.io/arch" instead)"},
    {"beta.kubernetes.io/os", R"(deprecated since v1.14; use "kubernetes.io/os" instead)"},
    {"failure-domain.beta.kubernetes.io/region",
     R"(deprecated since v1.17; use "topology.kubernetes.io/region" instead)"},
    {"failure-domain.beta.kubernetes.io/zone",
     R"(deprecated since v1.17; use "topology.kubernetes.io/zone" instead)"},
    {"beta.kubernetes.io/instance-type",
     R"(deprecated since v1.17; use "node.kubernetes.io/instance-type" instead)"}};

void warn_fractions(const Json& container, const FieldPath& path,
                    std::vector<std::string>& warnings) {
  const Json& resources = object_of(container, "resources");
  for (std::string_view which : {"limits", "requests"}) {
    for (const auto& [name, quantity] : parse_resource_list(find_member(resources, which))) {
      if ((name != "memory" && name != "ephemeral-storage") || quantity.is_whole()) continue;
      warnings.push_back(fmt::format(
          "{}: fractional byte value \"{}\" is invalid, must be an integer",
          path.child("resources").child(which).key(name).to_string(), quantity.to_string()));
    }
  }
}

void warn_env(const Json& container, const FieldPath& path, std::vector<std::string>& warnings) {
  std::vector<std::string> seen;
  std::size_t i = 0;
  for (const Json& env : items(container, "env")) {
    FieldPath at = path.child("env").index(i++);
    std::string name = string_or(env, "name");
    // A value that refers to the earlier one is no mistake.
    bool refers = string_or(env, "value").find("$(" + name + ")") != std::string::npos;
    if (!refers && std::find(seen.begin(), seen.end(), name) != seen.end()) {
      warnings.push_back(fmt::format(
          "{}: hides previous definition of \"{}\", which may be dropped when using apply",
          at.to_string(), name));
    }
    seen.push_back(std::move(name));
  }
}

void warn_ports(const Json& container, const FieldPath& path, std::vector<std::string>& warnings) {
  std::map<std::string, FieldPath> seen;
  std::size_t i = 0;
  for (const Json& port : items(container, "ports")) {
    FieldPath at = path.child("ports").index(i++);
    std::string key =
        fmt::format("{}/{}/{}/{}", string_or(port, "protocol"), string_or(port, "hostIP"),
                    int_or(port, "hostPort"), int_or(port, "containerPort"));
    auto [first, inserted] = seen.try_emplace(key, at);
    if (inserted) continue;
    warnings.push_back(fmt::format("{}: duplicate port definition with {}", at.to_string(),
                                   first->second.to_string()));
  }
}

void warn_pull_secrets(const Json& spec, const FieldPath& path,
                       std::vector<std::string>& warnings) {
  std::vector<std::string> seen;
  std::size_t i = 0;
  for (const Json& entry : items(spec, "imagePullSecrets")) {
    FieldPath at = path.child("imagePullSecrets").index(i++);
    std::string name = string_or(entry, "name");
    if (name.empty()) {
      warnings.push_back(fmt::format("{}: invalid empty name \"\"", at.to_string()));
    } else if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      warnings.push_back(
          fmt::format("{}: duplicate name \"{}\"", at.child("name").to_string(), name));
    }
    seen.push_back(std::move(name));
  }
}

void warn_node_labels(const Json& spec, const FieldPath& path, std::vector<std::string>& warnings) {
  const Json& selector = object_of(spec, "nodeSelector");
  for (const DeprecatedLabel& label : kDeprecatedNodeLabels) {
    if (!selector.contains(label.name)) continue;
    warnings.push_back(
        fmt::format("{}: {}", path.child("nodeSelector").key(label.name).to_string(), label.text));
  }
}

}  // namespace

std::vector<std::string> pod_spec_warnings(const Json& spec, const FieldPath& path) {
  std::vector<std::string> warnings;
  warn_node_labels(spec, path, warnings);
  warn_pull_secrets(spec, path, warnings);
  for (std::string_view list : {"initContainers", "containers"}) {
    std::size_t i = 0;
    for (const Json& container : items(spec, list)) {
      FieldPath at = path.child(list).index(i++);
      warn_fractions(container, at, warnings);
      warn_env(container, at, warnings);
      warn_ports(container, at, warnings);
    }
  }
  if (int_or(spec, "terminationGracePeriodSeconds") < 0) {
    warnings.push_back(
        fmt::format("{}: must be >= 0; negative values are invalid and will be treated as 1",
                    path.child("terminationGracePeriodSeconds").to_string()));
  }
  return warnings;
}

std::vector<std::string> pod_warnings(const Json& pod) {
  return pod_spec_warnings(object_of(pod, "spec"), FieldPath("spec"));
}

}  // namespace moth::resources
