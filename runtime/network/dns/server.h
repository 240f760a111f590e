#pragma once
// DnsServer: answers the pods' queries over UDP and TCP from the zone, and forwards other names to
// the host's servers, with a small cache bounded in entries and by TTL. Its sockets live on `io`;
// the zone is handed over by set()/erase(), which any thread may call.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/base/executors.h"
#include "runtime/network/dns/zone.h"

namespace moth::network::dns {

struct ServerOptions {
  SocketAddress listen;                  // dns_address:53
  std::vector<SocketAddress> upstreams;  // the host's servers; our own address is left out
  int upstream_timeout_ms = 2000;        // per try
  std::size_t max_pending = 1024;        // forwarded queries in flight; more get SERVFAIL
  std::size_t max_tcp = 128;             // connections
  std::size_t cache_entries = 4096;
};

class DnsServer {
 public:
  DnsServer(asio::any_io_executor io, ZoneConfig zone, ServerOptions options);
  ~DnsServer();  // after stop()

  // Binds (the address must exist) and serves. Any thread; blocks for the bind alone.
  Result<> start();
  Task<void> stop();

  void set(ServiceRecord record);
  void erase(std::string pod_namespace, std::string name);
  // Replaces everything.
  void load(std::vector<ServiceRecord> records);
  void set_upstreams(std::vector<SocketAddress> upstreams);

  struct Statistics {
    std::uint64_t queries = 0, answered = 0, forwarded = 0, cached = 0, failed = 0;
  };
  Statistics statistics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// "8.8.8.8" or "8.8.8.8:53" texts of a resolv.conf as socket addresses; IPv6 and `own` are left
// out.
std::vector<SocketAddress> upstreams_from(const std::vector<std::string>& nameservers, Ipv4 own);

}  // namespace moth::network::dns
