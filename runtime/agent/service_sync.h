#pragma once
// ServiceSync: keeps the service rules and the DNS zone equal to the Services and EndpointSlices of
// the API, and the host ports to the pods. Control thread.
#include <memory>
#include <set>
#include <string>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/client/object_client.h"
#include "runtime/network/dns/server.h"
#include "runtime/network/services/service_proxy.h"

namespace moth::agent {

// What a Service and its slices mean for the rules and for DNS. Pure; views are read (control).
network::ServiceSpec service_spec(const Object& service, const std::vector<ObjectPtr>& slices);
network::dns::ServiceRecord service_record(const Object& service,
                                           const std::vector<ObjectPtr>& slices);

class ServiceSync {
 public:
  // `dns` may be null. `node_name`: whose pods' host ports count.
  ServiceSync(asio::any_io_executor control, client::ObjectReader& reader,
              network::ServiceProxy& proxy, network::dns::DnsServer* dns, std::string node_name);
  ~ServiceSync();
  // Loads everything that there is in one transaction, then follows.
  Task<Result<>> start();
  Task<void> stop();

 private:
  Task<void> run();
  Task<void> apply(std::string key);
  Task<void> apply_pod(std::string uid);
  std::vector<ObjectPtr> slices_of(const Object& service) const;
  void mark(std::string key);

  client::ObjectReader& reader_;
  network::ServiceProxy& proxy_;
  network::dns::DnsServer* dns_;
  std::string node_name_;
  std::set<std::string> dirty_;  // "ns/name" of services, "pod:ns/name" of pods with host ports
  std::set<std::string> host_port_pods_;
  Notifier changed_;
  TaskScope scope_;
};

}  // namespace moth::agent
