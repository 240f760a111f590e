#include "api/resources/core_v1/service_rules.h"

#include "api/base/json.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr int kAffinitySeconds = 10800;

std::string type_of(const Json& spec) {
  return string_or(spec, "type", "ClusterIP");
}

bool needs_cluster_ip(const Json& spec) {
  return type_of(spec) != "ExternalName";
}

bool needs_node_port(const Json& spec) {
  return type_of(spec) == "NodePort" || type_of(spec) == "LoadBalancer";
}

bool needs_external_policy(const Json& spec) {
  return needs_node_port(spec) ||
         (type_of(spec) == "ClusterIP" && !items(spec, "externalIPs").empty());
}

bool needs_health_check_port(const Json& spec) {
  return type_of(spec) == "LoadBalancer" && string_or(spec, "externalTrafficPolicy") == "Local";
}

bool same(const Json& spec, const Json& old, std::string_view key) {
  const Json* now = member(spec, key);
  const Json* before = member(old, key);
  return (!now && !before) || (now && before && *now == *before);
}

// clusterIP is the first of clusterIPs; either may be given alone.
void align_cluster_ips(Json& spec) {
  std::string ip = string_or(spec, "clusterIP");
  const Json& list = items(spec, "clusterIPs");
  if (!ip.empty() && list.empty()) spec["clusterIPs"] = Json::array({ip});
  if (ip.empty() && !has(spec, "clusterIP") && !list.empty()) {
    Json first = list.front();
    spec["clusterIP"] = std::move(first);
  }
}

void default_ip_families(Json& spec) {
  if (!needs_cluster_ip(spec)) return;
  default_text(spec, "ipFamilyPolicy", "SingleStack");
  if (!items(spec, "ipFamilies").empty()) return;
  bool six = string_or(spec, "clusterIP").find(':') != std::string::npos;
  spec["ipFamilies"] = Json::array({six ? "IPv6" : "IPv4"});
}

void set_affinity_defaults(Json& spec) {
  default_text(spec, "sessionAffinity", "None");
  std::string affinity = string_or(spec, "sessionAffinity");
  if (affinity == "None") spec.erase("sessionAffinityConfig");
  if (affinity != "ClientIP") return;
  Json& client = object_at(object_at(spec, "sessionAffinityConfig"), "clientIP");
  default_to(client, "timeoutSeconds", kAffinitySeconds);
}

void set_port_defaults(Json& port) {
  default_text(port, "protocol", "TCP");
  const Json* target = member(port, "targetPort");
  bool empty = !target || (target->is_number_integer() && *target == 0) ||
               (target->is_string() && target->get_ref<const std::string&>().empty());
  if (empty) port["targetPort"] = int_or(port, "port");
}

const Json* port_like(const Json& port, const Json& old) {
  for (const Json& before : items(old, "ports")) {
    if (string_or(before, "protocol", "TCP") == string_or(port, "protocol", "TCP") &&
        int_or(before, "port") == int_or(port, "port")) {
      return &before;
    }
  }
  return nullptr;
}

void keep_node_ports(Json& spec, const Json& old) {
  if (!needs_node_port(spec) || !needs_node_port(old)) return;
  edit_items(spec, "ports", [&](Json& port) {
    const Json* before = port_like(port, old);
    std::int64_t allocated = before ? int_or(*before, "nodePort") : 0;
    if (allocated == 0) return;
    bool taken = false;
    for (const Json& other : items(spec, "ports")) taken |= int_or(other, "nodePort") == allocated;
    if (!taken) default_number(port, "nodePort", allocated);
  });
}

bool same_node_ports(const Json& spec, const Json& old) {
  for (const Json& port : items(spec, "ports")) {
    std::int64_t number = int_or(port, "nodePort");
    if (number == 0) continue;
    bool known = false;
    for (const Json& before : items(old, "ports")) known |= int_or(before, "nodePort") == number;
    if (!known) return false;
  }
  return true;
}

void drop_for_type(Json& spec, const Json& old) {
  if (needs_cluster_ip(old) && !needs_cluster_ip(spec)) {
    for (const char* key : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
      if (same(spec, old, key)) spec.erase(key);
    }
    if (same(spec, old, "internalTrafficPolicy")) spec.erase("internalTrafficPolicy");
  }
  if (needs_node_port(old) && !needs_node_port(spec) && same_node_ports(spec, old)) {
    edit_items(spec, "ports", [](Json& port) { port.erase("nodePort"); });
  }
  if (needs_health_check_port(old) && !needs_health_check_port(spec) &&
      same(spec, old, "healthCheckNodePort")) {
    spec.erase("healthCheckNodePort");
  }
  bool was_balancer = type_of(old) == "LoadBalancer";
  if (was_balancer && type_of(spec) != "LoadBalancer") {
    for (const char* key : {"allocateLoadBalancerNodePorts", "loadBalancerClass"}) {
      if (same(spec, old, key)) spec.erase(key);
    }
  }
  if (needs_external_policy(old) && !needs_external_policy(spec) &&
      same(spec, old, "externalTrafficPolicy")) {
    spec.erase("externalTrafficPolicy");
  }
}

}  // namespace

void set_service_defaults(Json& service) {
  Json& spec = object_at(service, "spec");
  set_affinity_defaults(spec);
  default_text(spec, "type", "ClusterIP");
  edit_items(spec, "ports", set_port_defaults);
  if (needs_external_policy(spec)) default_text(spec, "externalTrafficPolicy", "Cluster");
  if (needs_cluster_ip(spec)) default_text(spec, "internalTrafficPolicy", "Cluster");
  if (type_of(spec) == "LoadBalancer") default_to(spec, "allocateLoadBalancerNodePorts", true);
}

void prepare_service_create(Json& service) {
  service["status"] = {{"loadBalancer", Json::object()}};
  Json& spec = object_at(service, "spec");
  align_cluster_ips(spec);
  default_ip_families(spec);
}

void prepare_service_update(Json& service, const Json& old_service) {
  Json& spec = object_at(service, "spec");
  const Json& old = object_of(old_service, "spec");
  drop_for_type(spec, old);
  if (needs_cluster_ip(spec) && needs_cluster_ip(old)) {
    // A new clusterIP without clusterIPs, or the other way round, moves the other along; what is
    // left out is kept.
    bool ip_given = !string_or(spec, "clusterIP").empty();
    bool list_given = !items(spec, "clusterIPs").empty();
    if (!ip_given && !list_given) {
      for (const char* key : {"clusterIP", "clusterIPs"}) {
        if (const Json* kept = member(old, key)) spec[key] = *kept;
      }
    }
    align_cluster_ips(spec);
    for (const char* key : {"ipFamilies", "ipFamilyPolicy"}) {
      const Json* kept = member(old, key);
      if (kept && !has(spec, key)) spec[key] = *kept;
    }
  } else {
    align_cluster_ips(spec);
  }
  default_ip_families(spec);
  keep_node_ports(spec, old);
  if (needs_health_check_port(spec) && needs_health_check_port(old)) {
    default_number(spec, "healthCheckNodePort", int_or(old, "healthCheckNodePort"));
  }
}

}  // namespace moth::resources
