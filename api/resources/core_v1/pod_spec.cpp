#include "api/resources/core_v1/pod_spec.h"

#include "api/resources/core_v1/container_parse.h"
#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

PodSecurity parse_pod_security(const Json& json) {
  PodSecurity out;
  out.run_as_user = optional_int(json, "runAsUser");
  out.run_as_group = optional_int(json, "runAsGroup");
  out.fs_group = optional_int(json, "fsGroup");
  out.run_as_non_root = bool_or(json, "runAsNonRoot");
  out.fs_group_on_root_mismatch = string_or(json, "fsGroupChangePolicy") == "OnRootMismatch";
  for (const Json& group : items(json, "supplementalGroups")) {
    if (group.is_number_integer()) out.supplemental_groups.push_back(group.get<std::int64_t>());
  }
  out.strict_supplemental_groups = string_or(json, "supplementalGroupsPolicy") == "Strict";
  for (const Json& sysctl : items(json, "sysctls")) {
    out.sysctls.emplace_back(string_or(sysctl, "name"), string_or(sysctl, "value"));
  }
  out.seccomp = parse_profile(json, "seccompProfile");
  out.app_armor = parse_profile(json, "appArmorProfile");
  return out;
}

DnsConfig parse_dns(const Json& json) {
  DnsConfig out;
  out.nameservers = strings(json, "nameservers");
  out.searches = strings(json, "searches");
  for (const Json& option : items(json, "options")) {
    out.options.emplace_back(string_or(option, "name"), string_or(option, "value"));
  }
  return out;
}

std::vector<std::string> names_of(const Json& list, std::string_view key) {
  std::vector<std::string> out;
  for (const Json& item : list) out.push_back(string_or(item, key));
  return out;
}

void parse_containers(const Json& spec, PodSpec& out) {
  using Kind = Container::Kind;
  out.security = parse_pod_security(object_of(spec, "securityContext"));
  for (const Json& json : items(spec, "initContainers")) {
    out.init_containers.push_back(parse_container(json, Kind::kInit, out.security));
  }
  for (const Json& json : items(spec, "containers")) {
    out.containers.push_back(parse_container(json, Kind::kApp, out.security));
  }
  for (const Json& json : items(spec, "ephemeralContainers")) {
    out.ephemeral_containers.push_back(parse_container(json, Kind::kEphemeral, out.security));
  }
  out.requests = pod_requests(spec);
  out.limits = pod_limits(spec);
}

void parse_host_side(const Json& spec, PodSpec& out) {
  out.dns_policy = string_or(spec, "dnsPolicy", "ClusterFirst");
  out.dns = parse_dns(object_of(spec, "dnsConfig"));
  for (const Json& alias : items(spec, "hostAliases")) {
    out.host_aliases.push_back({string_or(alias, "ip"), strings(alias, "hostnames")});
  }
  out.hostname = string_or(spec, "hostname");
  out.subdomain = string_or(spec, "subdomain");
  out.hostname_override = string_or(spec, "hostnameOverride");
  out.set_hostname_as_fqdn = bool_or(spec, "setHostnameAsFQDN");
  out.host_network = bool_or(spec, "hostNetwork");
  out.host_pid = bool_or(spec, "hostPID");
  out.host_ipc = bool_or(spec, "hostIPC");
  out.host_users = bool_or(spec, "hostUsers", true);
  out.share_process_namespace = bool_or(spec, "shareProcessNamespace");
  out.enable_service_links = bool_or(spec, "enableServiceLinks", true);
  out.service_account_name = string_or(spec, "serviceAccountName");
  out.automount_service_account_token = optional_bool(spec, "automountServiceAccountToken");
  out.image_pull_secrets = names_of(items(spec, "imagePullSecrets"), "name");
  out.runtime_class_name = string_or(spec, "runtimeClassName");
}

void parse_scheduling(const Json& spec, PodSpec& out) {
  out.node_name = string_or(spec, "nodeName");
  out.scheduler_name = string_or(spec, "schedulerName", "default-scheduler");
  out.priority = int32_or(spec, "priority");
  out.priority_class_name = string_or(spec, "priorityClassName");
  out.preemption_never = string_or(spec, "preemptionPolicy") == "Never";
  out.node_selector = string_map(spec, "nodeSelector");
  out.affinity = parse_affinity(object_of(spec, "affinity"));
  out.tolerations = parse_tolerations(items(spec, "tolerations"));
  out.topology_spread = parse_topology_spread(items(spec, "topologySpreadConstraints"));
  out.scheduling_gates = names_of(items(spec, "schedulingGates"), "name");
  out.readiness_gates = names_of(items(spec, "readinessGates"), "conditionType");
  out.overhead = parse_resource_list(find_member(spec, "overhead"));
}

}  // namespace

std::string_view to_string(PullPolicy policy) {
  switch (policy) {
    case PullPolicy::kAlways:
      return "Always";
    case PullPolicy::kIfNotPresent:
      return "IfNotPresent";
    case PullPolicy::kNever:
      return "Never";
  }
  return "";
}

std::string_view to_string(RestartPolicy policy) {
  switch (policy) {
    case RestartPolicy::kAlways:
      return "Always";
    case RestartPolicy::kOnFailure:
      return "OnFailure";
    case RestartPolicy::kNever:
      return "Never";
  }
  return "";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "";
}

Protocol parse_protocol(std::string_view text) {
  if (text == "UDP") return Protocol::kUdp;
  return text == "SCTP" ? Protocol::kSctp : Protocol::kTcp;
}

PullPolicy parse_pull_policy(std::string_view text, PullPolicy fallback) {
  if (text == "Always") return PullPolicy::kAlways;
  if (text == "IfNotPresent") return PullPolicy::kIfNotPresent;
  return text == "Never" ? PullPolicy::kNever : fallback;
}

RestartPolicy parse_restart_policy(std::string_view text) {
  if (text == "OnFailure") return RestartPolicy::kOnFailure;
  return text == "Never" ? RestartPolicy::kNever : RestartPolicy::kAlways;
}

std::int64_t ContainerResources::cpu_request_milli() const {
  return amount(requests, "cpu").milli_value();
}

std::optional<std::int64_t> ContainerResources::cpu_limit_milli() const {
  auto it = limits.find("cpu");
  return it == limits.end() ? std::nullopt : std::optional(it->second.milli_value());
}

std::int64_t ContainerResources::memory_request_bytes() const {
  return amount(requests, "memory").value();
}

std::optional<std::int64_t> ContainerResources::memory_limit_bytes() const {
  auto it = limits.find("memory");
  return it == limits.end() ? std::nullopt : std::optional(it->second.value());
}

std::optional<std::int64_t> ContainerResources::ephemeral_storage_limit_bytes() const {
  auto it = limits.find("ephemeral-storage");
  return it == limits.end() ? std::nullopt : std::optional(it->second.value());
}

const ContainerPort* Container::port_named(std::string_view port_name) const {
  for (const ContainerPort& port : ports) {
    if (port.name == port_name) return &port;
  }
  return nullptr;
}

const Container* PodSpec::find_container(std::string_view name) const {
  for (const auto* list : {&containers, &init_containers, &ephemeral_containers}) {
    for (const Container& one : *list) {
      if (one.name == name) return &one;
    }
  }
  return nullptr;
}

const Volume* PodSpec::find_volume(std::string_view name) const {
  for (const Volume& one : volumes) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

PodSpec parse_pod_spec(const Json& spec, std::string_view pod_name) {
  PodSpec out;
  parse_containers(spec, out);
  for (const Json& json : items(spec, "volumes")) {
    out.volumes.push_back(parse_volume(json, pod_name));
  }
  out.restart_policy = parse_restart_policy(string_or(spec, "restartPolicy"));
  out.termination_grace = seconds_or(spec, "terminationGracePeriodSeconds", 30);
  // A negative grace period is treated as one second everywhere.
  if (out.termination_grace.count() < 0) out.termination_grace = std::chrono::seconds(1);
  out.active_deadline = optional_seconds(spec, "activeDeadlineSeconds");
  parse_host_side(spec, out);
  parse_scheduling(spec, out);
  return out;
}

}  // namespace moth::resources
