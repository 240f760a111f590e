#include <fmt/format.h>

#include <set>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/service_rules.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kMaxAffinitySeconds = 86400;
constexpr std::int64_t kKubeletPort = 10250;

bool is_headless(const Json& spec) {
  const Json& list = items(spec, "clusterIPs");
  return list.size() == 1 && list.front() == "None";
}

void check_not_headless(FieldErrors& errors, const Json& spec, std::string_view type,
                        const FieldPath& path) {
  if (!is_headless(spec)) return;
  errors.push_back(
      FieldError::invalid(path.child("clusterIPs").index(0), "None",
                          fmt::format("may not be set to 'None' for {} services", type)));
}

void check_external_name(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  for (std::string_view key : {"clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
    const Json* value = member(spec, key);
    if (!value || value->empty()) continue;
    errors.push_back(
        FieldError::forbidden(path.child(key), "may not be set for ExternalName services"));
  }
  std::string name = string_or(spec, "externalName");
  if (name.ends_with('.')) name.pop_back();
  if (name.empty()) {
    errors.push_back(FieldError::required(path.child("externalName"), ""));
  } else {
    add_invalid(errors, path.child("externalName"), name, check_dns1123_subdomain(name));
  }
}

void check_type_rules(FieldErrors& errors, const Json& spec, const std::string& type,
                      const FieldPath& path) {
  if (type == "LoadBalancer") {
    std::size_t i = 0;
    for (const Json& port : items(spec, "ports")) {
      FieldPath at = path.child("ports").index(i++);
      if (int_or(port, "port") != kKubeletPort) continue;
      errors.push_back(FieldError::invalid(
          at, kKubeletPort,
          fmt::format("may not expose port {} externally since it is used by kubelet",
                      kKubeletPort)));
    }
    check_not_headless(errors, spec, type, path);
  } else if (type == "NodePort") {
    check_not_headless(errors, spec, type, path);
  } else if (type == "ExternalName") {
    check_external_name(errors, spec, path);
  }
}

void check_ports(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& ports = items(spec, "ports");
  UniqueNames names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const Json& port = ports[i];
    FieldPath at = path.index(i);
    std::string name = string_or(port, "name");
    if (name.empty()) {
      if (ports.size() > 1) errors.push_back(FieldError::required(at.child("name"), ""));
    } else {
      add_invalid(errors, at.child("name"), name, check_dns1123_label(name));
      names.add(errors, name, at.child("name"));
    }
    std::int64_t number = int_or(port, "port");
    add_invalid(errors, at.child("port"), number, check_port_number(number));
    check_supported(errors, port, "protocol", at, {"SCTP", "TCP", "UDP"}, true);
    check_port_or_name(errors, port, "targetPort", at);
    check_name(errors, port, "appProtocol", at, check_qualified_name);
  }
}

void check_affinity(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  check_supported(errors, spec, "sessionAffinity", path, {"ClientIP", "None"}, true);
  std::string affinity = string_or(spec, "sessionAffinity");
  const Json* config = member(spec, "sessionAffinityConfig");
  FieldPath at = path.child("sessionAffinityConfig");
  if (affinity == "None" && config) {
    errors.push_back(FieldError::forbidden(at, "must not be set when session affinity is None"));
  }
  if (affinity != "ClientIP") return;
  const Json* timeout = config ? find_path(*config, "clientIP", "timeoutSeconds") : nullptr;
  FieldPath timeout_path = at.child("clientIP", "timeoutSeconds");
  if (!timeout) {
    errors.push_back(
        FieldError::required(config ? timeout_path : at, "when session affinity type is ClientIP"));
  } else if (*timeout <= 0 || *timeout > kMaxAffinitySeconds) {
    errors.push_back(FieldError::invalid(
        timeout_path, *timeout,
        fmt::format("must be greater than 0 and less than {}", kMaxAffinitySeconds)));
  }
}

void check_cluster_ips(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& list = items(spec, "clusterIPs");
  std::string first = string_or(spec, "clusterIP");
  FieldPath at = path.child("clusterIPs");
  if (list.empty()) {
    if (!first.empty()) errors.push_back(FieldError::required(at, ""));
    return;
  }
  if (first.empty()) {
    errors.push_back(
        FieldError::invalid(at, list, "must be empty when `clusterIP` is not specified"));
  } else if (list.front() != first) {
    errors.push_back(FieldError::invalid(at, list, "first value must match `clusterIP`"));
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == "None") {
      if (list.size() == 1) continue;
      errors.push_back(FieldError::invalid(at, list, "'None' must be the first and only value"));
      return;
    }
    check_ip_text(errors, list[i], at.index(i));
  }
}

void check_ip_families(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  check_supported(errors, spec, "ipFamilyPolicy", path,
                  {"PreferDualStack", "RequireDualStack", "SingleStack"});
  UniqueNames seen;
  const Json& ips = items(spec, "clusterIPs");
  std::size_t i = 0;
  for (const std::string& family : strings(spec, "ipFamilies")) {
    std::size_t index = i++;
    FieldPath at = path.child("ipFamilies").index(index);
    if (family != "IPv4" && family != "IPv6") {
      errors.push_back(FieldError::not_supported(at, family, {"IPv4", "IPv6"}));
      continue;
    }
    seen.add(errors, family, at);
    if (index >= ips.size() || !ips[index].is_string() || ips[index] == "None") continue;
    bool six = ips[index].get_ref<const std::string&>().find(':') != std::string::npos;
    if (six == (family == "IPv6")) continue;
    errors.push_back(FieldError::invalid(
        path.child("clusterIPs").index(index), ips[index],
        fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", family, index)));
  }
}

// Addresses that no host can be reached by from elsewhere.
bool is_special_ip(std::string_view ip) {
  return ip.starts_with("127.") || ip == "::1" || ip == "0.0.0.0" || ip == "::" ||
         ip.starts_with("169.254.") || ip.starts_with("fe80:");
}

void check_external_ips(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::size_t i = 0;
  for (const std::string& ip : strings(spec, "externalIPs")) {
    FieldPath at = path.index(i++);
    Messages wrong = check_ip(ip);
    add_invalid(errors, at, ip, wrong);
    if (wrong.empty() && is_special_ip(ip)) {
      errors.push_back(FieldError::invalid(
          at, ip, "may not be unspecified, in the loopback range or in the link-local range"));
    }
  }
}

void check_duplicate_ports(FieldErrors& errors, const Json& spec, const std::string& type,
                           const FieldPath& path) {
  const Json& ports = items(spec, "ports");
  std::set<std::pair<std::string, std::int64_t>> node_ports, numbers;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    std::int64_t number = int_or(ports[i], "nodePort");
    FieldPath at = path.index(i).child("nodePort");
    if (number != 0 && type == "ClusterIP") {
      errors.push_back(FieldError::forbidden(at, "may not be used when `type` is 'ClusterIP'"));
    }
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    std::int64_t number = int_or(ports[i], "nodePort");
    if (number == 0) continue;
    FieldPath at = path.index(i).child("nodePort");
    add_invalid(errors, at, number, check_port_number(number));
    if (!node_ports.emplace(string_or(ports[i], "protocol"), number).second) {
      errors.push_back(FieldError::duplicate(at, number));
    }
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    std::string protocol = string_or(ports[i], "protocol");
    std::int64_t number = int_or(ports[i], "port");
    if (numbers.emplace(protocol, number).second) continue;
    errors.push_back(
        FieldError::duplicate(path.index(i), Json{{"protocol", protocol}, {"port", number}}));
  }
}

void check_balancer(FieldErrors& errors, const Json& spec, const std::string& type,
                    const FieldPath& path) {
  bool balancer = type == "LoadBalancer";
  for (std::string_view key :
       {"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"}) {
    const Json* value = member(spec, key);
    if (balancer || !value || (value->is_array() && value->empty())) continue;
    errors.push_back(
        FieldError::forbidden(path.child(key), "may only be used when `type` is 'LoadBalancer'"));
  }
  if (balancer) check_name(errors, spec, "loadBalancerClass", path, check_qualified_name);
}

void check_policies(FieldErrors& errors, const Json& spec, const std::string& type,
                    const FieldPath& path) {
  bool external = type == "LoadBalancer" || type == "NodePort" ||
                  (type == "ClusterIP" && !items(spec, "externalIPs").empty());
  std::string policy = string_or(spec, "externalTrafficPolicy");
  if (external) {
    check_supported(errors, spec, "externalTrafficPolicy", path, {"Cluster", "Local"}, true);
  } else if (!policy.empty()) {
    errors.push_back(FieldError::invalid(path.child("externalTrafficPolicy"), policy,
                                         "may only be set for externally-accessible services"));
  }
  std::int64_t health = int_or(spec, "healthCheckNodePort");
  if (health != 0 && (type != "LoadBalancer" || policy != "Local")) {
    errors.push_back(FieldError::invalid(path.child("healthCheckNodePort"), health,
                                         "may only be set when `type` is 'LoadBalancer' and "
                                         "`externalTrafficPolicy` is 'Local'"));
  }
  if (type != "ExternalName") {
    check_supported(errors, spec, "internalTrafficPolicy", path, {"Cluster", "Local"}, true);
  }
  check_supported(errors, spec, "trafficDistribution", path,
                  {"PreferClose", "PreferSameNode", "PreferSameZone"});
}

}  // namespace

FieldErrors validate_service(const Json& service) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(service, "spec");
  std::string type = string_or(spec, "type");
  if (items(spec, "ports").empty() && !is_headless(spec) && type != "ExternalName") {
    errors.push_back(FieldError::required(path.child("ports"), ""));
  }
  check_type_rules(errors, spec, type, path);
  check_ports(errors, spec, path.child("ports"));
  check_labels(errors, object_of(spec, "selector"), path.child("selector"));
  check_affinity(errors, spec, path);
  if (type != "ExternalName") {
    check_cluster_ips(errors, spec, path);
    check_ip_families(errors, spec, path);
  }
  check_external_ips(errors, spec, path.child("externalIPs"));
  check_supported(errors, spec, "type", path,
                  {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"}, true);
  check_duplicate_ports(errors, spec, type, path.child("ports"));
  check_balancer(errors, spec, type, path);
  check_policies(errors, spec, type, path);
  return errors;
}

FieldErrors validate_service_update(const Json& service, const Json& old_service) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(service, "spec");
  const Json& old = object_of(old_service, "spec");
  std::string type = string_or(spec, "type");
  std::string old_type = string_or(old, "type");
  if (type != "ExternalName" && old_type != "ExternalName") {
    const Json& before = items(old, "clusterIPs");
    const Json& now = items(spec, "clusterIPs");
    if (!before.empty() && (now.empty() || now.front() != before.front())) {
      errors.push_back(FieldError::invalid(
          path.child("clusterIPs").index(0), now,
          now.empty() ? "primary clusterIP can not be unset" : "may not change once set"));
    }
  }
  if (type == "LoadBalancer" && old_type == "LoadBalancer") {
    check_immutable(errors, spec, old, "loadBalancerClass", path);
  }
  append(errors, validate_service(service));
  return errors;
}

}  // namespace moth::resources
