#pragma once
// Deletes entries of the kernel's connection tracking table. Blocking, namespace of the calling
// thread.
//
// TCP connections in TIME_WAIT are left alone. They keep nobody back: a client that takes their
// port again gets a new entry, with an endpoint of that moment. And they cannot be deleted safely:
// an entry is known by its tuple and an id that the kernel derives from that and the entry's
// address, which its successor may get as well. Deleting "it" would cut the new connection.
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
