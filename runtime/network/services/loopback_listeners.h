#pragma once
// LoopbackListeners: node ports on 127.0.0.1 and [::1], which DNAT cannot serve without opening the
// loopback range to the network (route_localnet). Listens on the loopback addresses only, copies
// bytes to a random ready endpoint. All methods on `io` (update may come from any thread).
#include <atomic>
#include <memory>
#include <vector>

#include "api/base/executors.h"
#include "runtime/network/address/address.h"

namespace moth::network {

struct LoopbackPort {
  Protocol protocol = Protocol::kTcp;  // sctp is ignored
  std::uint16_t port = 0;
  std::vector<SocketAddress> endpoints;  // none: the port is closed, so that clients are refused
  bool operator==(const LoopbackPort&) const = default;
};

class LoopbackListeners {
 public:
  LoopbackListeners(asio::any_io_executor io, std::size_t max_connections);
  ~LoopbackListeners();  // closes everything

  // Makes these the ports. A port that something else occupies is logged once and tried again at
  // the next update. Open connections of removed ports or endpoints run on.
  void update(std::vector<LoopbackPort> ports);
  // Completes when nothing is left open.
  Task<void> stop();

  std::size_t connections() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moth::network
