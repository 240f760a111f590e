#pragma once
// ServiceProxy: keeps the kernel's service table equal to the Services of the cluster, and the
// loopback listeners with it. Lives on `control`; nft runs on `blocking`. Changes asked for while a
// transaction runs are applied together in the next one; every call completes only when the kernel
// has its change, so "endpoint out, then SIGTERM" holds when the caller awaits.
//
// Stopping the daemon leaves the table in place: traffic goes on.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/base/executors.h"
#include "api/base/task.h"
#include "runtime/network/host_network.h"
#include "runtime/network/services/spec.h"

namespace moth::network {

class Nft;

class ServiceProxy {
 public:
  struct Options {
    bool loopback_listeners = true;  // 127.0.0.1 and [::1] of node ports
    std::size_t max_loopback_connections = 512;
    std::unique_ptr<Nft> nft;  // null: the kernel's
  };
  ServiceProxy(NetworkConfig config, Executors& executors);
  ServiceProxy(NetworkConfig config, Executors& executors, Options options);
  ~ServiceProxy();  // after stop()

  // Takes over or creates the table with exactly these services, in one transaction. Call once,
  // before others; give all known services, so that a restart has no gap.
  Task<Result<>> start(std::vector<ServiceSpec> services, std::vector<HostPortSpec> host_ports);
  // Closes the listeners and waits for a running transaction; the table stays.
  Task<void> stop();
  // Removes the table (uninstall); a later change would create it again.
  Task<Result<>> remove();

  Task<Result<>> set(ServiceSpec service);
  Task<Result<>> set_host_ports(HostPortSpec host_ports);
  Task<Result<>> erase(std::string id);  // of a service or of host ports
  // Makes these the services, erasing others; host ports stay.
  Task<Result<>> apply(std::vector<ServiceSpec> services);

  // Takes an endpoint out of every service at once, whatever later set() calls say: before a pod
  // gets its SIGTERM. readmit() when the address belongs to a new pod.
  Task<Result<>> withdraw(Ipv4 endpoint);
  Task<Result<>> readmit(Ipv4 endpoint);

  struct Statistics {
    std::uint64_t transactions = 0, full_loads = 0, failures = 0;
    std::size_t frontends = 0;
    double last_milliseconds = 0;
  };
  Statistics statistics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moth::network
