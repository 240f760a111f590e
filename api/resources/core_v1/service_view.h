#pragma once
// ServiceView: what endpoints, DNS and the service rules act upon. Built and kept by
// `object.view<ServiceView>()` on the control thread; valid as long as its object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/machinery/int_or_string.h"
#include "api/machinery/object.h"
#include "api/resources/core_v1/pod_spec.h"

namespace moth::resources {

enum class ServiceType : std::uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalName };

struct ServicePort {
  std::string name, app_protocol;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0, node_port = 0;  // node_port 0: none
  IntOrString target;                     // a number, or the name of a container port
};

class ServiceView {
 public:
  explicit ServiceView(const Object& object);

  const Meta& meta() const { return *meta_; }
  const std::string& name() const { return meta_->name; }
  const std::string& ns() const { return meta_->ns; }

  ServiceType type = ServiceType::kClusterIp;
  std::string cluster_ip;                // "" for ExternalName; "None" for headless
  std::vector<std::string> cluster_ips;  // as in the spec
  bool headless = false;
  std::string external_name;
  // Absent or empty: the endpoints are made by hand.
  std::optional<Labels> selector;
  std::vector<ServicePort> ports;
  // Set for sessionAffinity ClientIP.
  std::optional<std::chrono::seconds> session_affinity;
  bool publish_not_ready = false;
  bool internal_local = false, external_local = false;  // traffic policies Local
  std::vector<std::string> external_ips;
  std::vector<std::string> load_balancer_ips;  // of the status
  std::vector<std::string> load_balancer_source_ranges;
  std::string load_balancer_class;
  std::uint16_t health_check_node_port = 0;
  std::string traffic_distribution;

  bool has_selector() const { return selector && !selector->empty(); }
  // It has an address that the service rules handle.
  bool has_cluster_ip() const { return !headless && !cluster_ip.empty(); }
  const ServicePort* port_named(std::string_view name) const;
  // By a port name, a number as text, or the only port for "". For proxies: `svc:http`.
  const ServicePort* find_port(std::string_view name_or_number) const;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
