#include "runtime/network/netlink/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "runtime/network/netlink/socket.h"

namespace moth::network::netlink {

namespace {

constexpr std::uint16_t kGet = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
constexpr std::uint16_t kDelete = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;

struct Attributes {
  const nlattr* by_type[CTA_MAX + 1] = {};
  const nlattr* operator[](int type) const { return by_type[type]; }
};

const unsigned char* data(const nlattr* attribute) {
  return reinterpret_cast<const unsigned char*>(attribute) + NLA_HDRLEN;
}
std::size_t size(const nlattr* attribute) {
  return attribute->nla_len - NLA_HDRLEN;
}

Attributes parse(const unsigned char* at, std::size_t left) {
  Attributes result;
  while (left >= NLA_HDRLEN) {
    const auto* attribute = reinterpret_cast<const nlattr*>(at);
    if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > left) break;
    int type = attribute->nla_type & NLA_TYPE_MASK;
    if (type <= CTA_MAX) result.by_type[type] = attribute;
    std::size_t step = std::min<std::size_t>(NLA_ALIGN(attribute->nla_len), left);
    at += step;
    left -= step;
  }
  return result;
}

Attributes parse(const nlattr* nest) {
  return parse(data(nest), size(nest));
}

Ipv4 address(const nlattr* attribute) {
  std::uint32_t value = 0;
  std::memcpy(&value, data(attribute), sizeof value);
  return {ntohl(value)};
}

std::uint16_t port(const nlattr* attribute) {
  std::uint16_t value = 0;
  if (attribute) std::memcpy(&value, data(attribute), sizeof value);
  return ntohs(value);
}

struct Tuple {
  std::uint8_t protocol = 0;
  SocketAddress source, destination;
};

bool parse_tuple(const nlattr* nest, Tuple& tuple) {
  if (!nest) return false;
  Attributes parts = parse(nest);
  if (!parts[CTA_TUPLE_IP] || !parts[CTA_TUPLE_PROTO]) return false;
  Attributes ip = parse(parts[CTA_TUPLE_IP]);
  Attributes proto = parse(parts[CTA_TUPLE_PROTO]);
  if (!ip[CTA_IP_V4_SRC] || !ip[CTA_IP_V4_DST] || !proto[CTA_PROTO_NUM]) return false;
  tuple.protocol = *data(proto[CTA_PROTO_NUM]);
  tuple.source = {address(ip[CTA_IP_V4_SRC]), port(proto[CTA_PROTO_SRC_PORT])};
  tuple.destination = {address(ip[CTA_IP_V4_DST]), port(proto[CTA_PROTO_DST_PORT])};
  return true;
}

bool in_time_wait(const Attributes& flow) {
  if (!flow[CTA_PROTOINFO]) return false;
  Attributes info = parse(flow[CTA_PROTOINFO]);
  if (!info[CTA_PROTOINFO_TCP]) return false;
  Attributes tcp = parse(info[CTA_PROTOINFO_TCP]);
  return tcp[CTA_PROTOINFO_TCP_STATE] &&
         *data(tcp[CTA_PROTOINFO_TCP_STATE]) == TCP_CONNTRACK_TIME_WAIT;
}

// What is needed to delete one entry and nothing that took its place meanwhile (see the header).
struct Victim {
  std::vector<unsigned char> original;  // CTA_TUPLE_ORIG as received
  std::vector<unsigned char> id;
};

}  // namespace

namespace {

// Bits of CTA_FILTER_ORIG_FLAGS and CTA_FILTER_REPLY_FLAGS; the kernel's header does not export
// them.
constexpr std::uint32_t kFilterSource = 1 << 0;
constexpr std::uint32_t kFilterProtocol = 1 << 3;

void put_tuple(Message& message, std::uint16_t attribute, std::optional<Ipv4> source,
               std::optional<Protocol> protocol) {
  std::size_t tuple = message.begin(static_cast<std::uint16_t>(attribute | NLA_F_NESTED));
  if (source) {
    std::size_t ip = message.begin(CTA_TUPLE_IP | NLA_F_NESTED);
    message.put_u32(CTA_IP_V4_SRC, htonl(source->value));
    message.end(ip);
  }
  if (protocol) {
    std::size_t proto = message.begin(CTA_TUPLE_PROTO | NLA_F_NESTED);
    message.put_u8(CTA_PROTO_NUM, static_cast<std::uint8_t>(*protocol));
    message.end(proto);
  }
  message.end(tuple);
}

Message dump_request(const FlowFilter& filter, bool filtered) {
  Message query(kGet, NLM_F_DUMP, sizeof(nfgenmsg));
  query.header<nfgenmsg>()->nfgen_family = AF_INET;
  std::uint32_t original =
      (filter.original_source ? kFilterSource : 0) | (filter.protocol ? kFilterProtocol : 0);
  std::uint32_t reply = filter.reply_source ? kFilterSource : 0;
  if (!filtered || (original | reply) == 0) return query;
  if (original) put_tuple(query, CTA_TUPLE_ORIG, filter.original_source, filter.protocol);
  if (reply) put_tuple(query, CTA_TUPLE_REPLY, filter.reply_source, std::nullopt);
  std::size_t flags = query.begin(CTA_FILTER | NLA_F_NESTED);
  query.put_u32(CTA_FILTER_ORIG_FLAGS, original);
  query.put_u32(CTA_FILTER_REPLY_FLAGS, reply);
  query.end(flags);
  return query;
}

bool wanted(const FlowFilter& filter, const Flow& flow) {
  if (filter.protocol && flow.protocol != *filter.protocol) return false;
  if (filter.original_source && flow.original_source.ip != *filter.original_source) return false;
  if (filter.reply_source && flow.reply_source.ip != *filter.reply_source) return false;
  return !filter.matches || filter.matches(flow);
}

Result<std::vector<Victim>> find_victims(Socket& netfilter, const FlowFilter& filter,
                                         bool filtered) {
  std::vector<Victim> victims;
  Message query = dump_request(filter, filtered);
  MOTH_TRY(netfilter.dump(query, "list tracked connections", [&](const nlmsghdr& message) {
    if ((message.nlmsg_type >> 8) != NFNL_SUBSYS_CTNETLINK) return;
    std::size_t offset = NLMSG_LENGTH(sizeof(nfgenmsg));
    if (message.nlmsg_len < offset) return;
    Attributes parts = parse(reinterpret_cast<const unsigned char*>(&message) + offset,
                             message.nlmsg_len - offset);
    if (in_time_wait(parts)) return;
    Tuple original, reply;
    if (!parse_tuple(parts[CTA_TUPLE_ORIG], original) ||
        !parse_tuple(parts[CTA_TUPLE_REPLY], reply))
      return;
    Flow flow{static_cast<Protocol>(original.protocol), original.source, original.destination,
              reply.source, reply.destination};
    if (!wanted(filter, flow)) return;
    Victim victim;
    const nlattr* tuple = parts[CTA_TUPLE_ORIG];
    victim.original.assign(data(tuple), data(tuple) + size(tuple));
    if (const nlattr* id = parts[CTA_ID]) victim.id.assign(data(id), data(id) + size(id));
    victims.push_back(std::move(victim));
  }));
  return victims;
}

bool unsupported(const Error& error) {
  return error.os_errno == EOPNOTSUPP || error.os_errno == EINVAL || error.os_errno == ENOENT;
}

}  // namespace

Result<std::size_t> delete_flows(const FlowFilter& filter) {
  auto opened = Socket::open(NETLINK_NETFILTER);
  if (!opened) {
    // A kernel without netfilter netlink has no table either.
    if (opened.error().os_errno == EPROTONOSUPPORT) return 0;
    return fail(std::move(opened).error());
  }
  auto victims = find_victims(*opened, filter, true);
  if (!victims && unsupported(victims.error())) victims = find_victims(*opened, filter, false);
  if (!victims) {
    if (unsupported(victims.error())) return 0;
    return fail(std::move(victims).error());
  }
  std::size_t deleted = 0;
  for (const Victim& victim : *victims) {
    Message message(kDelete, 0, sizeof(nfgenmsg));
    message.header<nfgenmsg>()->nfgen_family = AF_INET;
    message.put(CTA_TUPLE_ORIG | NLA_F_NESTED, victim.original.data(), victim.original.size());
    if (!victim.id.empty()) message.put(CTA_ID, victim.id.data(), victim.id.size());
    auto done = opened->request(message, "forget a tracked connection");
    if (done) {
      ++deleted;
    } else if (done.error().os_errno != ENOENT) {
      return fail(std::move(done).error());
    }
  }
  return deleted;
}

Result<std::size_t> delete_flows_of(Ipv4 address) {
  FlowFilter begun, served;
  begun.original_source = address;
  served.reply_source = address;
  MOTH_ASSIGN(std::size_t first, delete_flows(begun));
  MOTH_ASSIGN(std::size_t second, delete_flows(served));
  return first + second;
}

}  // namespace moth::network::netlink
