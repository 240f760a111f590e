#pragma once
// Deletes entries of the kernel's connection tracking table. Blocking, namespace of the calling
// thread.
#include <cstdint>
#include <functional>
#include <optional>

#include "runtime/network/address/address.h"

namespace moth::network::netlink {

struct Flow {
  Protocol protocol = Protocol::kTcp;
  SocketAddress original_source, original_destination;
  SocketAddress reply_source, reply_destination;  // reply_source: who really serves the flow
};

// All conditions must hold. The kernel applies all but `matches` (since 5.8; checked here as well),
// so only what may match is copied out of a table of perhaps 100,000 entries.
struct FlowFilter {
  std::optional<Protocol> protocol;
  std::optional<Ipv4> original_source, reply_source;
  std::function<bool(const Flow&)> matches;  // null: all
};

// Number of deleted entries. A kernel without conntrack counts as an empty table.
Result<std::size_t> delete_flows(const FlowFilter& filter);
// All flows that the address began or serves.
Result<std::size_t> delete_flows_of(Ipv4 address);

}  // namespace moth::network::netlink
