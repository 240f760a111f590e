#include "api/resources/core_v1/service_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

ServiceType parse_type(std::string_view text) {
  if (text == "NodePort") return ServiceType::kNodePort;
  if (text == "LoadBalancer") return ServiceType::kLoadBalancer;
  return text == "ExternalName" ? ServiceType::kExternalName : ServiceType::kClusterIp;
}

ServicePort parse_port(const Json& json) {
  ServicePort out;
  out.name = string_or(json, "name");
  out.app_protocol = string_or(json, "appProtocol");
  out.protocol = parse_protocol(string_or(json, "protocol", "TCP"));
  out.port = port_or_zero(json, "port");
  out.node_port = port_or_zero(json, "nodePort");
  out.target = int_or_string(json, "targetPort", IntOrString::of(out.port));
  return out;
}

}  // namespace

ServiceView::ServiceView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  type = parse_type(string_or(spec, "type"));
  cluster_ip = string_or(spec, "clusterIP");
  cluster_ips = strings(spec, "clusterIPs");
  headless = cluster_ip == "None";
  external_name = string_or(spec, "externalName");
  if (has(spec, "selector")) selector = string_map(spec, "selector");
  for (const Json& json : items(spec, "ports")) ports.push_back(parse_port(json));
  if (string_or(spec, "sessionAffinity") == "ClientIP") {
    const Json* config = find_path(spec, "sessionAffinityConfig", "clientIP");
    session_affinity =
        config ? seconds_or(*config, "timeoutSeconds", 10800) : std::chrono::seconds(10800);
  }
  publish_not_ready = bool_or(spec, "publishNotReadyAddresses");
  internal_local = string_or(spec, "internalTrafficPolicy") == "Local";
  external_local = string_or(spec, "externalTrafficPolicy") == "Local";
  external_ips = strings(spec, "externalIPs");
  load_balancer_source_ranges = strings(spec, "loadBalancerSourceRanges");
  load_balancer_class = string_or(spec, "loadBalancerClass");
  health_check_node_port = port_or_zero(spec, "healthCheckNodePort");
  traffic_distribution = string_or(spec, "trafficDistribution");
  const Json* balancer = find_path(*dom, "status", "loadBalancer");
  if (!balancer) return;
  for (const Json& ingress : items(*balancer, "ingress")) {
    if (std::string ip = string_or(ingress, "ip"); !ip.empty()) load_balancer_ips.push_back(ip);
  }
}

const ServicePort* ServiceView::port_named(std::string_view wanted) const {
  for (const ServicePort& port : ports) {
    if (port.name == wanted) return &port;
  }
  return nullptr;
}

const ServicePort* ServiceView::find_port(std::string_view name_or_number) const {
  if (name_or_number.empty()) return ports.size() == 1 ? &ports.front() : nullptr;
  if (const ServicePort* named = port_named(name_or_number)) return named;
  for (const ServicePort& port : ports) {
    if (std::to_string(port.port) == name_or_number) return &port;
  }
  return nullptr;
}

}  // namespace moth::resources
