#include "api/resources/core_v1/pod_validation.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxNameservers = 3;
constexpr std::size_t kMaxSearches = 32;
constexpr std::size_t kMaxSearchLength = 2048;

void check_host_network(FieldErrors& errors, const Json& spec, const FieldPath& path,
                        const PodValidation& options) {
  if (!bool_or(spec, "hostNetwork")) return;
  for (std::string_view list : {"containers", "initContainers"}) {
    std::size_t i = 0;
    for (const Json& container : items(spec, list)) {
      FieldPath ports = path.child(list).index(i++).child("ports");
      std::size_t j = 0;
      for (const Json& port : items(container, "ports")) {
        FieldPath at = ports.index(j++).child("containerPort");
        std::int64_t number = int_or(port, "containerPort");
        std::int64_t host = int_or(port, "hostPort");
        // The host ports of a template are filled in when its pods are made.
        if (host == number || (host == 0 && !options.is_pod)) continue;
        errors.push_back(
            FieldError::invalid(at, number, "must match `hostPort` when `hostNetwork` is true"));
      }
    }
  }
}

void check_search_paths(FieldErrors& errors, const Json& config, const FieldPath& path) {
  const Json& searches = items(config, "searches");
  if (searches.size() > kMaxSearches) {
    errors.push_back(FieldError::invalid(
        path, searches, fmt::format("must not have more than {} search paths", kMaxSearches)));
  }
  std::vector<std::string> list = strings(config, "searches");
  if (join(list, " ").size() > kMaxSearchLength) {
    errors.push_back(FieldError::invalid(
        path, searches,
        fmt::format("must not have more than {} characters (including spaces) in the search list",
                    kMaxSearchLength)));
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::string search = list[i];
    if (search == ".") continue;
    if (search.ends_with('.')) search.pop_back();
    // Underscores are legal in search domains, as in SRV names.
    std::string checked = search;
    std::replace(checked.begin(), checked.end(), '_', 'a');
    add_invalid(errors, path.index(i), search, check_dns1123_subdomain(checked));
  }
}

void check_dns_config(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* config = member(spec, "dnsConfig");
  if (string_or(spec, "dnsPolicy") == "None") {
    if (!config) {
      errors.push_back(
          FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
      return;
    }
    if (items(*config, "nameservers").empty()) {
      errors.push_back(FieldError::required(
          path.child("nameservers"),
          "must provide at least one DNS nameserver when `dnsPolicy` is None"));
      return;
    }
  }
  if (!config) return;
  const Json& servers = items(*config, "nameservers");
  if (servers.size() > kMaxNameservers) {
    errors.push_back(FieldError::invalid(
        path.child("nameservers"), servers,
        fmt::format("must not have more than {} nameservers", kMaxNameservers)));
  }
  std::size_t i = 0;
  for (const Json& server : servers) {
    check_ip_text(errors, server, path.child("nameservers").index(i++));
  }
  check_search_paths(errors, *config, path.child("searches"));
  i = 0;
  for (const Json& option : items(*config, "options")) {
    FieldPath at = path.child("options").index(i++);
    if (string_or(option, "name").empty()) {
      errors.push_back(FieldError::required(at, "must not be empty"));
    }
  }
}

void check_gates(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& gate : items(spec, "readinessGates")) {
    std::string type = string_or(gate, "conditionType");
    add_invalid(errors, path.child("readinessGates").index(i++).child("conditionType"), type,
                check_qualified_name(type));
  }
  UniqueNames names;
  i = 0;
  for (const Json& gate : items(spec, "schedulingGates")) {
    FieldPath at = path.child("schedulingGates").index(i++);
    std::string name = string_or(gate, "name");
    add_invalid(errors, at, name, check_qualified_name(name));
    names.add(errors, name, at);
  }
}

void check_host_users(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  if (bool_or(spec, "hostUsers", true)) return;
  for (std::string_view key : {"hostNetwork", "hostPID", "hostIPC"}) {
    if (bool_or(spec, key)) {
      errors.push_back(FieldError::forbidden(path.child(key), "when `hostUsers` is false"));
    }
  }
}

void check_host_aliases(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& alias : items(spec, "hostAliases")) {
    FieldPath at = path.index(i++);
    Json ip = string_or(alias, "ip");
    check_ip_text(errors, ip, at.child("ip"));
    for (const std::string& hostname : strings(alias, "hostnames")) {
      add_invalid(errors, path.child("hostnames"), hostname, check_dns1123_subdomain(hostname));
    }
  }
}

void check_names(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  check_name(errors, spec, "serviceAccountName", path, check_dns1123_subdomain);
  check_name(errors, spec, "nodeName", path, check_dns1123_subdomain);
  check_range(errors, spec, "activeDeadlineSeconds", path, 1, kInt32Max);
  check_name(errors, spec, "hostname", path, check_dns1123_label);
  check_name(errors, spec, "subdomain", path, check_dns1123_label);
  check_name(errors, spec, "hostnameOverride", path, check_dns1123_subdomain);
  if (!string_or(spec, "hostnameOverride").empty() && bool_or(spec, "hostNetwork")) {
    errors.push_back(FieldError::forbidden(path.child("hostnameOverride"),
                                           "may not be specified when `hostNetwork` is true"));
  }
  check_tolerations(errors, spec, path.child("tolerations"));
  check_host_aliases(errors, spec, path.child("hostAliases"));
  check_name(errors, spec, "priorityClassName", path, check_dns1123_subdomain);
  check_name(errors, spec, "runtimeClassName", path, check_dns1123_subdomain);
  check_supported(errors, spec, "preemptionPolicy", path, {"PreemptLowerPriority", "Never"});
}

// spec.resources: cpu, memory and hugepages of the pod as a whole.
void check_pod_level_resources(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* resources = member(spec, "resources");
  if (!resources) return;
  append(errors, validate_resources(*resources, path));
  for (std::string_view which : {"limits", "requests"}) {
    for (const auto& [name, quantity] : parse_resource_list(find_member(*resources, which))) {
      if (name == "cpu" || name == "memory" || is_hugepages(name)) continue;
      errors.push_back(FieldError::not_supported(path.child(which).key(name), name,
                                                 {"cpu", "hugepages-", "memory"}));
    }
  }
  Json containers = spec;
  containers.erase("resources");
  containers.erase("overhead");
  ResourceList requests = parse_resource_list(find_member(*resources, "requests"));
  for (const auto& [name, sum] : pod_requests(containers)) {
    auto own = requests.find(name);
    if (own == requests.end() || own->second >= sum) continue;
    errors.push_back(FieldError::invalid(
        path.child("requests").key(name), own->second.to_string(),
        fmt::format("must be greater than or equal to aggregate container requests of {}",
                    sum.to_string())));
  }
}

void check_container_images(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  for (std::string_view list : {"containers", "initContainers"}) {
    std::size_t i = 0;
    for (const Json& container : items(spec, list)) {
      FieldPath at = path.child(list).index(i++).child("image");
      std::string image = string_or(container, "image");
      if (image.empty()) continue;
      if (std::isspace(static_cast<unsigned char>(image.front())) ||
          std::isspace(static_cast<unsigned char>(image.back()))) {
        errors.push_back(
            FieldError::invalid(at, image, "must not have leading or trailing whitespace"));
      }
    }
  }
}

}  // namespace

FieldErrors validate_pod_spec(const Json& spec, const FieldPath& path,
                              const PodValidation& options) {
  FieldErrors errors;
  VolumesByName volumes = check_volumes(errors, spec, path);
  ContainerContext context{&spec, &volumes, int_or(spec, "terminationGracePeriodSeconds", 30)};
  check_app_containers(errors, context, path.child("containers"));
  check_init_containers(errors, context, path.child("initContainers"));
  check_ephemeral_containers(errors, context, path.child("ephemeralContainers"));
  check_pod_level_resources(errors, spec, path.child("resources"));
  check_host_network(errors, spec, path, options);
  check_supported(errors, spec, "restartPolicy", path, {"Always", "OnFailure", "Never"}, true);
  check_supported(errors, spec, "dnsPolicy", path,
                  {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}, true);
  check_labels(errors, object_of(spec, "nodeSelector"), path.child("nodeSelector"));
  check_pod_security(errors, spec, path.child("securityContext"));
  check_affinity(errors, object_of(spec, "affinity"), path.child("affinity"));
  check_dns_config(errors, spec, path.child("dnsConfig"));
  check_gates(errors, spec, path);
  check_topology_spread(errors, spec, path.child("topologySpreadConstraints"));
  check_host_users(errors, spec, path);
  check_names(errors, spec, path);
  return errors;
}

FieldErrors validate_pod_template(const Json& pod_template, const FieldPath& path) {
  FieldErrors errors;
  const Json& metadata = object_of(pod_template, "metadata");
  check_labels(errors, object_of(metadata, "labels"), path.child("labels"));
  for (const auto& [key, value] : object_of(metadata, "annotations").items()) {
    std::string lower = key;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    add_invalid(errors, path.child("annotations"), key, check_qualified_name(lower));
  }
  FieldPath spec_path = path.child("spec");
  const Json& spec = object_of(pod_template, "spec");
  append(errors, validate_pod_spec(spec, spec_path, {.is_pod = false}));
  if (!items(spec, "ephemeralContainers").empty()) {
    errors.push_back(FieldError::forbidden(spec_path.child("ephemeralContainers"),
                                           "ephemeral containers not allowed in pod template"));
  }
  return errors;
}

FieldErrors validate_pod(const Json& pod) {
  FieldPath path("spec");
  const Json& spec = object_of(pod, "spec");
  FieldErrors errors = validate_pod_spec(spec, path, {});
  check_container_images(errors, spec, path);
  if (!items(spec, "ephemeralContainers").empty()) {
    errors.push_back(
        FieldError::forbidden(path.child("ephemeralContainers"), "cannot be set on create"));
  }
  if (!string_or(spec, "nodeName").empty() && !items(spec, "schedulingGates").empty()) {
    errors.push_back(FieldError::forbidden(
        path.child("nodeName"), "cannot be set until all schedulingGates have been cleared"));
  }
  return errors;
}

}  // namespace moth::resources
