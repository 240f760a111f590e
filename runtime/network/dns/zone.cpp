#include "runtime/network/dns/zone.h"

#include <algorithm>

namespace moth::network::dns {

namespace {
std::string key(std::string_view pod_namespace, std::string_view name) {
  std::string text(pod_namespace);
  text += '/';
  text += name;
  return text;
}
}  // namespace

Zone::Zone(ZoneConfig config) : config_(std::move(config)) {}

std::string Zone::endpoint_label(const Endpoint& endpoint) {
  return endpoint.hostname.empty() ? endpoint.ip.dashed() : endpoint.hostname;
}

void Zone::index(const ServiceRecord& record, bool add) {
  std::string service = record.name + "." + record.pod_namespace + ".svc." + config_.domain;
  auto change = [&](Ipv4 ip, std::string name) {
    if (add) {
      pointers_[ip].push_back(std::move(name));
      return;
    }
    auto found = pointers_.find(ip);
    if (found == pointers_.end()) return;
    auto position = std::find(found->second.begin(), found->second.end(), name);
    if (position != found->second.end()) found->second.erase(position);
    if (found->second.empty()) pointers_.erase(found);
  };
  if (record.cluster_ip) {
    change(*record.cluster_ip, service);
  } else {
    for (const Endpoint& endpoint : record.endpoints)
      change(endpoint.ip, endpoint_label(endpoint) + "." + service);
  }
  if (add) {
    ++namespaces_[record.pod_namespace];
  } else if (--namespaces_[record.pod_namespace] == 0) {
    namespaces_.erase(record.pod_namespace);
  }
}

void Zone::set(ServiceRecord record) {
  auto& slot = services_[key(record.pod_namespace, record.name)];
  if (slot) index(*slot, false);
  slot = std::make_shared<const ServiceRecord>(std::move(record));
  index(*slot, true);
}

void Zone::erase(std::string_view pod_namespace, std::string_view name) {
  auto found = services_.find(key(pod_namespace, name));
  if (found == services_.end()) return;
  index(*found->second, false);
  services_.erase(found);
}

void Zone::clear() {
  services_.clear();
  namespaces_.clear();
  pointers_.clear();
}

const ServiceRecord* Zone::find(std::string_view pod_namespace, std::string_view name) const {
  auto found = services_.find(key(pod_namespace, name));
  return found == services_.end() ? nullptr : found->second.get();
}

bool Zone::has_namespace(std::string_view pod_namespace) const {
  return namespaces_.count(std::string(pod_namespace)) > 0;
}

std::vector<std::string> Zone::pointers(Ipv4 address) const {
  auto found = pointers_.find(address);
  return found == pointers_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace moth::network::dns
