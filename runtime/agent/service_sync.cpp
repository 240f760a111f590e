#include "runtime/agent/service_sync.h"

#include "api/base/log.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/core_v1/service_view.h"
#include "api/resources/discovery_v1/endpoint_slice_view.h"

namespace moth::agent {
namespace {

using network::Ipv4;
using resources::EndpointSliceView;
using resources::PodView;
using resources::ServiceView;

constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
constexpr const char* kPodMark = "pod:";

network::Protocol protocol_of(resources::Protocol protocol) {
  switch (protocol) {
    case resources::Protocol::kUdp:
      return network::Protocol::kUdp;
    case resources::Protocol::kSctp:
      return network::Protocol::kSctp;
    case resources::Protocol::kTcp:
      break;
  }
  return network::Protocol::kTcp;
}

std::optional<Ipv4> address_of(const std::string& text) {
  auto parsed = Ipv4::parse(text);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

std::string key_of(const Object& object) {
  return object.ns() + "/" + object.name();
}

std::string service_key_of_slice(const Object& slice) {
  auto it = slice.meta().labels.find(kServiceNameLabel);
  return it == slice.meta().labels.end() ? "" : slice.ns() + "/" + it->second;
}

network::HostPortSpec host_port_spec(const PodView& pod) {
  network::HostPortSpec spec;
  spec.id = pod.uid();
  auto target = address_of(pod.pod_ip());
  if (!target || pod.spec().host_network) return spec;
  for (const auto* list : {&pod.spec().containers, &pod.spec().init_containers}) {
    for (const auto& container : *list) {
      for (const auto& port : container.ports) {
        if (port.host_port == 0) continue;
        std::optional<Ipv4> host = port.host_ip.empty() || port.host_ip == "0.0.0.0"
                                       ? std::nullopt
                                       : address_of(port.host_ip);
        spec.ports.push_back(
            {host, protocol_of(port.protocol), port.host_port, {*target, port.container_port}});
      }
    }
  }
  return spec;
}

}  // namespace

network::ServiceSpec service_spec(const Object& service, const std::vector<ObjectPtr>& slices) {
  const auto& view = service.view<ServiceView>();
  network::ServiceSpec spec;
  spec.id = key_of(service);
  if (view.has_cluster_ip()) spec.cluster_ip = address_of(view.cluster_ip);
  for (const auto* list : {&view.external_ips, &view.load_balancer_ips}) {
    for (const std::string& text : *list) {
      if (auto address = address_of(text)) spec.external_ips.push_back(*address);
    }
  }
  if (view.session_affinity)
    spec.affinity_seconds = static_cast<std::uint32_t>(view.session_affinity->count());
  for (const auto& port : view.ports) {
    network::ServicePortSpec entry;
    entry.name = port.name;
    entry.protocol = protocol_of(port.protocol);
    entry.port = port.port;
    entry.node_port = port.node_port;
    for (const ObjectPtr& object : slices) {
      const auto& slice = object->view<EndpointSliceView>();
      for (const auto& slice_port : slice.ports) {
        if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
        for (const auto& endpoint : slice.endpoints) {
          if (!endpoint.ready || endpoint.addresses.empty()) continue;
          if (auto address = address_of(endpoint.addresses.front()))
            entry.endpoints.push_back({*address, slice_port.port});
        }
      }
    }
    spec.ports.push_back(std::move(entry));
  }
  return spec;
}

network::dns::ServiceRecord service_record(const Object& service,
                                           const std::vector<ObjectPtr>& slices) {
  const auto& view = service.view<ServiceView>();
  network::dns::ServiceRecord record;
  record.pod_namespace = service.ns();
  record.name = service.name();
  if (view.has_cluster_ip()) record.cluster_ip = address_of(view.cluster_ip);
  record.external_name = view.external_name;
  for (const auto& port : view.ports)
    record.ports.push_back({port.name, protocol_of(port.protocol), port.port});
  if (!view.headless) return record;
  for (const ObjectPtr& object : slices) {
    const auto& slice = object->view<EndpointSliceView>();
    for (const auto& endpoint : slice.endpoints) {
      if (!endpoint.ready || endpoint.addresses.empty()) continue;
      auto address = address_of(endpoint.addresses.front());
      if (!address) continue;
      network::dns::Endpoint entry;
      entry.ip = *address;
      entry.hostname = endpoint.hostname;
      for (const auto& port : slice.ports)
        entry.ports.push_back({port.name, protocol_of(port.protocol), port.port});
      record.endpoints.push_back(std::move(entry));
    }
  }
  return record;
}

ServiceSync::ServiceSync(asio::any_io_executor control, client::ObjectReader& reader,
                         network::ServiceProxy& proxy, network::dns::DnsServer* dns,
                         std::string node_name)
    : reader_(reader),
      proxy_(proxy),
      dns_(dns),
      node_name_(std::move(node_name)),
      changed_(control),
      scope_(control) {}

ServiceSync::~ServiceSync() = default;

std::vector<ObjectPtr> ServiceSync::slices_of(const Object& service) const {
  std::vector<ObjectPtr> slices;
  for (const ObjectPtr& slice : reader_.list(client::gvr::kEndpointSlices, service.ns())) {
    if (service_key_of_slice(*slice) == key_of(service)) slices.push_back(slice);
  }
  return slices;
}

void ServiceSync::mark(std::string key) {
  if (key.empty()) return;
  dirty_.insert(std::move(key));
  changed_.notify();
}

Task<Result<>> ServiceSync::start() {
  std::vector<network::ServiceSpec> specs;
  std::vector<network::dns::ServiceRecord> records;
  for (const ObjectPtr& service : reader_.list(client::gvr::kServices)) {
    auto slices = slices_of(*service);
    specs.push_back(service_spec(*service, slices));
    records.push_back(service_record(*service, slices));
  }
  std::vector<network::HostPortSpec> host_ports;
  for (const ObjectPtr& object : reader_.list(client::gvr::kPods)) {
    const auto& pod = object->view<PodView>();
    if (pod.node_name() != node_name_ || pod.is_finished()) continue;
    auto spec = host_port_spec(pod);
    if (spec.ports.empty()) continue;
    host_port_pods_.insert(spec.id);
    host_ports.push_back(std::move(spec));
  }
  if (dns_) dns_->load(std::move(records));
  reader_.subscribe(client::gvr::kServices,
                    [this](const auto& change) { mark(key_of(change.any())); });
  reader_.subscribe(client::gvr::kEndpointSlices,
                    [this](const client::ObjectReader::Change& change) {
                      if (change.object) mark(service_key_of_slice(*change.object));
                      if (change.previous) mark(service_key_of_slice(*change.previous));
                    });
  reader_.subscribe(client::gvr::kPods, [this](const client::ObjectReader::Change& change) {
    const auto& pod = change.any().view<PodView>();
    bool relevant = host_port_pods_.contains(pod.uid());
    if (!relevant && change.object && pod.node_name() == node_name_)
      relevant = !host_port_spec(pod).ports.empty();
    if (relevant) mark(kPodMark + key_of(change.any()) + "#" + pod.uid());
  });
  MOTH_CO_TRY(co_await proxy_.start(std::move(specs), std::move(host_ports)));
  scope_.spawn("service sync", run());
  co_return Result<>{};
}

Task<void> ServiceSync::run() {
  for (;;) {
    while (dirty_.empty()) co_await changed_.wait();
    std::string key = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    // Applied concurrently, so that the proxy can put many changes into one transaction.
    scope_.spawn("service rules",
                 key.starts_with(kPodMark) ? apply_pod(key.substr(4)) : apply(key));
  }
}

Task<void> ServiceSync::apply(std::string key) {
  auto slash = key.find('/');
  std::string ns = key.substr(0, slash), name = key.substr(slash + 1);
  ObjectPtr service = reader_.get(client::gvr::kServices, ns, name);
  Result<> result;
  if (!service) {
    if (dns_) dns_->erase(ns, name);
    result = co_await proxy_.erase(key);
  } else {
    auto slices = slices_of(*service);
    if (dns_) dns_->set(service_record(*service, slices));
    result = co_await proxy_.set(service_spec(*service, slices));
  }
  if (!result) {
    log::error("service rules not applied", log::field("service", key),
               log::field("error", result.error().message));
  }
}

// `mark` is "ns/name#uid".
Task<void> ServiceSync::apply_pod(std::string mark) {
  auto slash = mark.find('/'), hash = mark.find('#');
  std::string uid = mark.substr(hash + 1);
  ObjectPtr object = reader_.get(client::gvr::kPods, mark.substr(0, slash),
                                 mark.substr(slash + 1, hash - slash - 1));
  Result<> result;
  bool lives = object && object->uid() == uid && !object->view<PodView>().is_finished();
  if (lives) {
    host_port_pods_.insert(uid);
    result = co_await proxy_.set_host_ports(host_port_spec(object->view<PodView>()));
  } else {
    host_port_pods_.erase(uid);
    result = co_await proxy_.erase(uid);
  }
  if (!result)
    log::error("host ports not applied", log::field("pod", mark),
               log::field("error", result.error().message));
}

Task<void> ServiceSync::stop() {
  scope_.cancel();
  co_await scope_.join();
}

}  // namespace moth::agent
