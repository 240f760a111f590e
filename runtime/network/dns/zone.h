#pragma once
// Zone: the names of the cluster (docs: "DNS for Services and Pods"). Plain data, one thread; the
// server owns one on `io`.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/network/address/address.h"

namespace moth::network::dns {

struct ServicePort {
  std::string name;  // may be empty: then it has no SRV record
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
};

struct Endpoint {
  Ipv4 ip;
  std::string hostname;  // spec.hostname of a pod whose subdomain is this service; may be empty
  std::vector<ServicePort> ports;  // target ports by service port name; empty: the service's
};

struct ServiceRecord {
  std::string pod_namespace;
  std::string name;
  std::optional<Ipv4> cluster_ip;  // nullopt: headless, unless external_name is given
  std::string external_name;       // ExternalName: answered by CNAME
  std::vector<ServicePort> ports;
  std::vector<Endpoint>
      endpoints;  // of headless services: ready ones (all with publishNotReadyAddresses)
};

struct ZoneConfig {
  std::string domain = "cluster.local";
  std::vector<Cidr> reverse;  // ranges whose PTR names are ours (services, pods)
  Ipv4 dns_address;
  std::uint32_t ttl = 5;           // seconds; services
  std::uint32_t negative_ttl = 5;  // of NXDOMAIN and NODATA
};

class Zone {
 public:
  explicit Zone(ZoneConfig config);

  void set(ServiceRecord record);  // replaces the one of the same namespace and name
  void erase(std::string_view pod_namespace, std::string_view name);
  void clear();

  const ZoneConfig& config() const { return config_; }
  // Keys are lower case, as Kubernetes names are. Null when unknown.
  const ServiceRecord* find(std::string_view pod_namespace, std::string_view name) const;
  bool has_namespace(std::string_view pod_namespace) const;
  // Names (without final dot) that PTR of `address` answers.
  std::vector<std::string> pointers(Ipv4 address) const;
  // The name of an endpoint below its service: its hostname or dashed address.
  static std::string endpoint_label(const Endpoint& endpoint);

 private:
  void index(const ServiceRecord& record, bool add);

  ZoneConfig config_;
  std::unordered_map<std::string, std::shared_ptr<const ServiceRecord>> services_;  // "ns/name"
  std::unordered_map<std::string, std::size_t> namespaces_;  // services in it
  std::unordered_map<Ipv4, std::vector<std::string>> pointers_;
};

}  // namespace moth::network::dns
