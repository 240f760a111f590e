#include "runtime/network/dns/answer.h"

#include <algorithm>
#include <random>

#include "runtime/network/dns/message.h"

namespace moth::network::dns {

namespace {

constexpr std::uint16_t kSrvWeight = 100;
constexpr std::size_t kMaxTcpReply = 65535;

std::vector<std::string> split_labels(const std::string& name) {
  std::vector<std::string> labels;
  std::size_t start = 0;
  while (start < name.size()) {
    std::size_t dot = std::min(name.find('.', start), name.size());
    labels.push_back(name.substr(start, dot - start));
    start = dot + 1;
  }
  return labels;
}

bool ends_with(const std::vector<std::string>& labels, const std::vector<std::string>& tail) {
  return labels.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), labels.rbegin());
}

bool same_text(std::string_view a, std::string_view b) {
  auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return low(x) == low(y); });
}

// d.c.b.a.in-addr.arpa as an address; fewer labels are a part of the reverse tree.
std::optional<Ipv4> reverse_address(const std::vector<std::string>& labels) {
  if (labels.size() != 6) return std::nullopt;
  return Ipv4::parse(labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0]);
}

// The reverse tree's node that covers the range: 10.96.0.0/12 is below 10.in-addr.arpa.
std::string reverse_zone(const Cidr& range) {
  std::string zone = "in-addr.arpa";
  for (int octet = 0; octet < range.prefix / 8; ++octet)
    zone = std::to_string(range.base.value >> (24 - 8 * octet) & 255) + "." + zone;
  return zone;
}

// One query being answered.
class Responder {
 public:
  Responder(const Query& query, const Zone& zone, std::uint32_t seed)
      : query_(query), zone_(zone), config_(zone.config()), reply_(query), random_(seed) {}

  // False: the name is not ours.
  bool run();
  Reply& reply() { return reply_; }
  const std::string& alias() const { return alias_; }

 private:
  bool wants(std::uint16_t type) const { return query_.type == type || query_.type == kAny; }
  void records(std::size_t count) { answers_ += count; }
  void no_data() {
    if (answers_ == 0)
      reply_.soa(Reply::kAuthority, soa_zone_, config_.negative_ttl, config_.negative_ttl);
  }
  void no_name() {
    reply_.set_rcode(kNxDomain);
    reply_.soa(Reply::kAuthority, soa_zone_, config_.negative_ttl, config_.negative_ttl);
  }

  bool reverse();
  void apex();
  void below_domain(const std::vector<std::string>& labels);
  void service_tree(const std::vector<std::string>& labels);
  void pod_tree(const std::vector<std::string>& labels);
  void service(const ServiceRecord& record);
  void endpoint(const ServiceRecord& record, const std::string& label);
  void service_port(const ServiceRecord& record, std::string_view port, std::string_view protocol);
  void headless_srv(const ServiceRecord& record, const ServicePort& port,
                    const std::string& service_name);
  std::string full_name(const ServiceRecord& record) const {
    return record.name + "." + record.pod_namespace + ".svc." + config_.domain;
  }
  std::vector<Endpoint> shuffled(const ServiceRecord& record) {
    std::vector<Endpoint> list = record.endpoints;
    std::shuffle(list.begin(), list.end(), random_);
    return list;
  }

  const Query& query_;
  const Zone& zone_;
  const ZoneConfig& config_;
  Reply reply_;
  std::minstd_rand random_;
  std::string soa_zone_;
  std::string alias_;
  std::size_t answers_ = 0;
};

bool Responder::run() {
  const auto& labels = query_.labels;
  static const std::vector<std::string> arpa = {"in-addr", "arpa"};
  if (ends_with(labels, arpa)) return reverse();
  std::vector<std::string> domain = split_labels(config_.domain);
  if (!ends_with(labels, domain)) return false;
  soa_zone_ = config_.domain;
  std::vector<std::string> rest(labels.begin(),
                                labels.end() - static_cast<std::ptrdiff_t>(domain.size()));
  if (rest.empty()) {
    apex();
  } else {
    below_domain(rest);
  }
  return true;
}

bool Responder::reverse() {
  auto address = reverse_address(query_.labels);
  if (!address) return false;
  auto range = std::find_if(config_.reverse.begin(), config_.reverse.end(),
                            [&](const Cidr& item) { return item.contains(*address); });
  bool ours = range != config_.reverse.end();
  std::vector<std::string> names = zone_.pointers(*address);
  // An endpoint beyond our ranges may still be known by name.
  if (!ours && names.empty()) return false;
  soa_zone_ = reverse_zone(ours ? *range : Cidr{*address, 32});
  if (names.empty()) {
    no_name();
    return true;
  }
  if (wants(kPtr)) {
    for (const std::string& name : names) reply_.ptr(query_.name, config_.ttl, name);
    records(names.size());
  }
  no_data();
  return true;
}

void Responder::apex() {
  std::string server = "ns.dns." + config_.domain;
  if (wants(kSoa)) {
    reply_.soa(Reply::kAnswer, query_.name, config_.ttl, config_.negative_ttl);
    records(1);
  }
  if (wants(kNs)) {
    reply_.ns(Reply::kAnswer, query_.name, config_.ttl, server);
    records(1);
    reply_.a(Reply::kAdditional, server, config_.ttl, config_.dns_address);
  }
  no_data();
}

void Responder::below_domain(const std::vector<std::string>& labels) {
  std::string_view tree = labels.back();
  std::vector<std::string> rest(labels.begin(), labels.end() - 1);
  if (tree == "svc") return service_tree(rest);
  if (tree == "pod") return pod_tree(rest);
  if (labels.size() == 1 && tree == "dns-version") {
    if (wants(kTxt)) {
      reply_.txt(query_.name, config_.ttl, "1.1.0");
      records(1);
    }
    return no_data();
  }
  bool server = labels.size() == 2 && labels[0] == "ns" && tree == "dns";
  if (server && wants(kA)) {
    reply_.a(Reply::kAnswer, query_.name, config_.ttl, config_.dns_address);
    records(1);
  }
  // "dns" exists since a name below it does.
  if (server || (labels.size() == 1 && tree == "dns")) return no_data();
  no_name();
}

void Responder::service_tree(const std::vector<std::string>& labels) {
  // Nodes of the tree above services exist without records of their own.
  if (labels.empty()) return no_data();
  const std::string& pod_namespace = labels.back();
  if (labels.size() == 1) return zone_.has_namespace(pod_namespace) ? no_data() : no_name();
  const ServiceRecord* record = zone_.find(pod_namespace, labels[labels.size() - 2]);
  if (!record) return no_name();
  std::size_t extra = labels.size() - 2;
  if (extra == 0) return service(*record);
  if (extra == 2 && labels[0].size() > 1 && labels[0][0] == '_' && labels[1].size() > 1 &&
      labels[1][0] == '_')
    return service_port(*record, std::string_view(labels[0]).substr(1),
                        std::string_view(labels[1]).substr(1));
  if (extra == 1 && labels[0][0] == '_') {
    bool used =
        std::any_of(record->ports.begin(), record->ports.end(), [&](const ServicePort& port) {
          return !port.name.empty() && labels[0].substr(1) == to_string(port.protocol);
        });
    return used ? no_data() : no_name();
  }
  if (extra == 1) return endpoint(*record, labels[0]);
  no_name();
}

void Responder::pod_tree(const std::vector<std::string>& labels) {
  if (labels.empty()) return no_data();
  if (labels.size() == 1) return zone_.has_namespace(labels[0]) ? no_data() : no_name();
  if (labels.size() > 2) return no_name();
  std::string dotted = labels[0];
  std::replace(dotted.begin(), dotted.end(), '-', '.');
  auto address = Ipv4::parse(dotted);
  if (!address) return no_name();
  if (wants(kA)) {
    reply_.a(Reply::kAnswer, query_.name, config_.ttl, *address);
    records(1);
  }
  no_data();
}

void Responder::service(const ServiceRecord& record) {
  if (!record.external_name.empty()) {
    reply_.cname(query_.name, config_.ttl, record.external_name);
    if (query_.type != kCname && query_.type != kAny) alias_ = record.external_name;
    return;
  }
  if (wants(kA)) {
    if (record.cluster_ip) {
      reply_.a(Reply::kAnswer, query_.name, config_.ttl, *record.cluster_ip);
      records(1);
    } else {
      std::vector<Ipv4> seen;
      for (const Endpoint& item : shuffled(record)) {
        if (std::find(seen.begin(), seen.end(), item.ip) != seen.end()) continue;
        seen.push_back(item.ip);
        reply_.a(Reply::kAnswer, query_.name, config_.ttl, item.ip);
        records(1);
      }
    }
  }
  // SRV of the service itself: all its ports, as CoreDNS answers.
  if (query_.type == kSrv) {
    for (const ServicePort& port : record.ports) {
      if (record.cluster_ip) {
        reply_.srv(query_.name, config_.ttl, 0, kSrvWeight, port.port, full_name(record));
        records(1);
      } else {
        headless_srv(record, port, full_name(record));
      }
    }
  }
  no_data();
}

void Responder::endpoint(const ServiceRecord& record, const std::string& label) {
  bool known = false;
  if (!record.cluster_ip && record.external_name.empty()) {
    for (const Endpoint& item : record.endpoints) {
      if (!same_text(Zone::endpoint_label(item), label)) continue;
      known = true;
      if (!wants(kA)) continue;
      reply_.a(Reply::kAnswer, query_.name, config_.ttl, item.ip);
      records(1);
    }
  }
  if (known) {
    no_data();
  } else {
    no_name();
  }
}

void Responder::headless_srv(const ServiceRecord& record, const ServicePort& port,
                             const std::string& service_name) {
  std::vector<Endpoint> list = shuffled(record);
  for (const Endpoint& item : list) {
    std::uint16_t number = port.port;
    if (!item.ports.empty()) {
      auto own =
          std::find_if(item.ports.begin(), item.ports.end(), [&](const ServicePort& candidate) {
            return candidate.name == port.name && candidate.protocol == port.protocol;
          });
      if (own == item.ports.end()) continue;
      number = own->port;
    }
    reply_.srv(query_.name, config_.ttl, 0, kSrvWeight, number,
               Zone::endpoint_label(item) + "." + service_name);
    records(1);
  }
}

void Responder::service_port(const ServiceRecord& record, std::string_view port,
                             std::string_view protocol) {
  const ServicePort* found = nullptr;
  for (const ServicePort& item : record.ports)
    if (!item.name.empty() && item.name == port && to_string(item.protocol) == protocol)
      found = &item;
  if (!found) return no_name();
  std::string target = full_name(record);
  if (wants(kSrv)) {
    if (record.cluster_ip) {
      reply_.srv(query_.name, config_.ttl, 0, kSrvWeight, found->port, target);
      records(1);
      reply_.a(Reply::kAdditional, target, config_.ttl, *record.cluster_ip);
    } else {
      headless_srv(record, *found, target);
      for (const Endpoint& item : record.endpoints)
        if (answers_ > 0)
          reply_.a(Reply::kAdditional, Zone::endpoint_label(item) + "." + target, config_.ttl,
                   item.ip);
    }
  }
  no_data();
}

std::size_t reply_limit(const Query& query, bool tcp) {
  if (tcp) return kMaxTcpReply;
  if (!query.edns) return 512;
  return std::min<std::size_t>(query.edns_size, kMaxUdpReply);
}

Bytes refuse(const Query& query, int rcode) {
  Reply reply(query);
  reply.set_authoritative(false);
  reply.set_rcode(rcode);
  return reply.finish(kMaxUdpReply);
}

}  // namespace

Answer answer(std::span<const std::uint8_t> query, const Zone& zone, bool tcp, std::uint32_t seed) {
  ParsedQuery parsed = parse_query(query);
  if (!parsed.answerable) return {};
  if (parsed.rcode != kNoError) return {Outcome::kAnswered, refuse(parsed.query, parsed.rcode), ""};
  std::uint16_t question_class = parsed.query.question_class;
  if (question_class != kClassIn && question_class != kClassAny)
    return {Outcome::kAnswered, refuse(parsed.query, kRefused), ""};
  constexpr std::uint16_t kFirstTransfer = 251, kLastTransfer = 252;  // IXFR, AXFR
  if (parsed.query.type >= kFirstTransfer && parsed.query.type <= kLastTransfer)
    return {Outcome::kAnswered, refuse(parsed.query, kRefused), ""};
  Responder responder(parsed.query, zone, seed);
  if (!responder.run()) return {Outcome::kForward, {}, ""};
  std::string alias = responder.alias();
  return {alias.empty() ? Outcome::kAnswered : Outcome::kAlias,
          responder.reply().finish(reply_limit(parsed.query, tcp)), std::move(alias)};
}

Bytes query_for(std::span<const std::uint8_t> query, const std::string& name, std::uint16_t id) {
  return make_query(id, name, parse_query(query).query.type);
}

Bytes with_aliases(std::span<const std::uint8_t> query, const Zone& zone, bool tcp,
                   const std::vector<std::string>& aliases,
                   std::span<const std::uint8_t> resolved) {
  Query asked = parse_query(query).query;
  Reply reply(asked);
  std::string owner = asked.name;
  for (const std::string& alias : aliases) {
    reply.cname(owner, zone.config().ttl, alias);
    owner = alias;
  }
  reply.set_rcode(append_answers(reply, resolved));
  return reply.finish(reply_limit(asked, tcp));
}

Bytes failure(std::span<const std::uint8_t> query, int rcode) {
  return refuse(parse_query(query).query, rcode);
}

}  // namespace moth::network::dns
