#include <fmt/format.h>

#include <array>
#include <set>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

const std::vector<std::string>& protocols() {
  static const std::vector<std::string> kProtocols = {"SCTP", "TCP", "UDP"};
  return kProtocols;
}

void check_ports(FieldErrors& errors, const Json& container, const FieldPath& path) {
  UniqueNames names;
  std::size_t i = 0;
  for (const Json& port : items(container, "ports")) {
    FieldPath at = path.index(i++);
    if (std::string name = string_or(port, "name"); !name.empty()) {
      Messages wrong = check_port_name(name);
      add_invalid(errors, at.child("name"), name, wrong);
      if (wrong.empty()) names.add(errors, name, at.child("name"));
    }
    std::int64_t number = int_or(port, "containerPort");
    if (number == 0) {
      errors.push_back(FieldError::required(at.child("containerPort"), ""));
    } else {
      add_invalid(errors, at.child("containerPort"), number, check_port_number(number));
    }
    if (std::int64_t host = int_or(port, "hostPort"); host != 0) {
      add_invalid(errors, at.child("hostPort"), host, check_port_number(host));
    }
    check_supported(errors, port, "protocol", at, protocols(), true);
  }
}

// Host ports of one list of containers; init containers are checked each on its own.
class HostPorts {
 public:
  void add(FieldErrors& errors, const Json& container, const FieldPath& path) {
    std::size_t i = 0;
    for (const Json& port : items(container, "ports")) {
      FieldPath at = path.child("ports").index(i++).child("hostPort");
      std::int64_t number = int_or(port, "hostPort");
      if (number == 0) continue;
      std::string text =
          fmt::format("{}/{}/{}", string_or(port, "protocol"), string_or(port, "hostIP"), number);
      if (!seen_.insert(text).second) errors.push_back(FieldError::duplicate(at, text));
    }
  }

 private:
  std::set<std::string> seen_;
};

void check_resize_policy(FieldErrors& errors, const Json& container, const Json& spec,
                         const FieldPath& path) {
  UniqueNames names;
  std::size_t i = 0;
  for (const Json& policy : items(container, "resizePolicy")) {
    FieldPath at = path.index(i++);
    std::string resource = string_or(policy, "resourceName");
    names.add(errors, resource, at);
    if (resource.empty()) {
      errors.push_back(FieldError::required(at, ""));
    } else if (resource != "cpu" && resource != "memory") {
      errors.push_back(FieldError::not_supported(at, resource, {"cpu", "memory"}));
    }
    std::string restart = string_or(policy, "restartPolicy");
    if (restart.empty()) {
      errors.push_back(FieldError::required(at, ""));
    } else if (restart != "NotRequired" && restart != "RestartContainer") {
      errors.push_back(FieldError::not_supported(at, restart, {"NotRequired", "RestartContainer"}));
    } else if (string_or(spec, "restartPolicy") == "Never" && restart != "NotRequired") {
      errors.push_back(FieldError::invalid(
          at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
    }
  }
}

void check_restart_rules(FieldErrors& errors, const Json& container, const FieldPath& path) {
  check_supported(errors, container, "restartPolicy", path, {"Always", "OnFailure", "Never"});
  const Json& rules = items(container, "restartPolicyRules");
  if (rules.empty()) return;
  constexpr std::size_t kMaxRules = 20;
  FieldPath list = path.child("restartPolicyRules");
  if (string_or(container, "restartPolicy").empty()) {
    errors.push_back(FieldError::required(
        path.child("restartPolicy"), "must specify restartPolicy when restart rules are used"));
  }
  if (rules.size() > kMaxRules) {
    errors.push_back(FieldError::too_many(list, rules.size(), kMaxRules));
  }
  std::size_t i = 0;
  for (const Json& rule : rules) {
    FieldPath at = list.index(i++);
    check_supported(errors, rule, "action", at, {"Restart", "RestartAllContainers"}, true);
    const Json* codes = member(rule, "exitCodes");
    if (!codes) {
      errors.push_back(FieldError::required(at.child("exitCodes"), "must be specified"));
      continue;
    }
    check_supported(errors, *codes, "operator", at.child("exitCodes"), {"In", "NotIn"}, true);
  }
}

void check_common(FieldErrors& errors, const Json& container, const ContainerContext& context,
                  const FieldPath& path) {
  if (check_required(errors, container, "name", path)) {
    check_name(errors, container, "name", path, check_dns1123_label);
  }
  check_required(errors, container, "image", path);
  check_supported(errors, container, "terminationMessagePolicy", path,
                  {"FallbackToLogsOnError", "File"}, true);
  check_ports(errors, container, path.child("ports"));
  check_env(errors, container, path);
  check_mounts(errors, container, *context.volumes, path);
  check_supported(errors, container, "imagePullPolicy", path, {"Always", "IfNotPresent", "Never"},
                  true);
  append(errors, validate_resources(object_of(container, "resources"), path.child("resources")));
  check_resize_policy(errors, container, *context.spec, path.child("resizePolicy"));
  check_security_context(errors, container, bool_or(*context.spec, "hostUsers", true),
                         path.child("securityContext"));
}

}  // namespace

void check_app_containers(FieldErrors& errors, const ContainerContext& context,
                          const FieldPath& path) {
  const Json& list = items(*context.spec, "containers");
  if (list.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  UniqueNames names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    FieldPath at = path.index(i);
    check_common(errors, list[i], context, at);
    names.add(errors, string_or(list[i], "name"), at.child("name"));
    check_lifecycle(errors, list[i], context, at);
    check_probes(errors, list[i], context, at);
    check_restart_rules(errors, list[i], at);
  }
  HostPorts ports;
  for (std::size_t i = 0; i < list.size(); ++i) ports.add(errors, list[i], path.index(i));
}

void check_init_containers(FieldErrors& errors, const ContainerContext& context,
                           const FieldPath& path) {
  UniqueNames names;
  FieldErrors ignored;
  for (const Json& container : items(*context.spec, "containers")) {
    names.add(ignored, string_or(container, "name"), path);
  }
  std::size_t i = 0;
  for (const Json& container : items(*context.spec, "initContainers")) {
    FieldPath at = path.index(i++);
    check_common(errors, container, context, at);
    names.add(errors, string_or(container, "name"), at.child("name"));
    HostPorts().add(errors, container, at);
    check_restart_rules(errors, container, at);
    if (string_or(container, "restartPolicy") == "Always") {
      check_lifecycle(errors, container, context, at);
      check_probes(errors, container, context, at);
      continue;
    }
    for (std::string_view key : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
      if (!has(container, key)) continue;
      errors.push_back(FieldError::forbidden(
          at.child(key), "may not be set for init containers without restartPolicy=Always"));
    }
  }
}

void check_ephemeral_containers(FieldErrors& errors, const ContainerContext& context,
                                const FieldPath& path) {
  static constexpr std::array<std::string_view, 8> kForbidden = {
      "ports",     "livenessProbe", "readinessProbe", "startupProbe",
      "lifecycle", "resizePolicy",  "restartPolicy",  "restartPolicyRules"};
  UniqueNames names;
  FieldErrors ignored;
  for (std::string_view list : {"containers", "initContainers"}) {
    for (const Json& container : items(*context.spec, list)) {
      names.add(ignored, string_or(container, "name"), path);
    }
  }
  const UniqueNames regular = names;
  std::size_t i = 0;
  for (const Json& container : items(*context.spec, "ephemeralContainers")) {
    FieldPath at = path.index(i++);
    check_common(errors, container, context, at);
    names.add(errors, string_or(container, "name"), at.child("name"));
    std::string target = string_or(container, "targetContainerName");
    if (!target.empty() && !regular.contains(target)) {
      errors.push_back(FieldError::not_found(at.child("targetContainerName"), target));
    }
    for (std::string_view key : kForbidden) {
      const Json* value = member(container, key);
      if (!value || value->empty()) continue;
      errors.push_back(
          FieldError::forbidden(at.child(key), "cannot be set for an Ephemeral Container"));
    }
    if (!object_of(container, "resources").empty()) {
      errors.push_back(
          FieldError::forbidden(at.child("resources"), "cannot be set for an Ephemeral Container"));
    }
    std::size_t j = 0;
    for (const Json& mount : items(container, "volumeMounts")) {
      FieldPath mount_path = at.child("volumeMounts").index(j++);
      for (std::string_view key : {"subPath", "subPathExpr"}) {
        if (string_or(mount, key).empty()) continue;
        errors.push_back(FieldError::forbidden(mount_path.child(key),
                                               "cannot be set for an Ephemeral Container"));
      }
    }
  }
}

}  // namespace moth::resources
