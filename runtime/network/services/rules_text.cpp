#include "runtime/network/services/rules_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace moth::network::rules_text {

namespace {

struct StaticChain {
  const char* name;
  const char* hook;  // null: no base chain
};

// A chain stands before those that refer to it.
constexpr StaticChain kChains[] = {
    {"refuse", nullptr},
    {"unserved", nullptr},
    {"addresses", nullptr},
    {"node_ports", nullptr},
    {"services", nullptr},
    {"nat_pre", "type nat hook prerouting priority -100; policy accept;"},
    {"nat_out", "type nat hook output priority -100; policy accept;"},
    {"nat_post", "type nat hook postrouting priority 100; policy accept;"},
    {"filter_in", "type filter hook input priority 0; policy accept;"},
    {"filter_forward", "type filter hook forward priority 0; policy accept;"},
    {"filter_out", "type filter hook output priority 0; policy accept;"},
    {"raw_pre", "type filter hook prerouting priority -300; policy accept;"},
    {"raw_out", "type filter hook output priority -300; policy accept;"},
};

constexpr const char* kFrontendType = "ipv4_addr . inet_proto . inet_service";
constexpr const char* kFrontendKey = "ip daddr . meta l4proto . th dport";
constexpr const char* kNodePortType = "inet_proto . inet_service";
constexpr const char* kNodePortKey = "meta l4proto . th dport";

struct StaticSet {
  const char* kind;
  const char* name;
  const char* type;
};

constexpr StaticSet kSets[] = {
    {"map", "sticky", "type ipv4_addr . inet_proto . inet_service : verdict;"},
    {"map", "npsticky", "type inet_proto . inet_service : verdict;"},
    {"map", "ep_tcp", "typeof ip daddr . tcp dport . numgen random mod 2 : ip daddr . tcp dport;"},
    {"map", "ep_udp", "typeof ip daddr . udp dport . numgen random mod 2 : ip daddr . udp dport;"},
    {"map", "ep_sctp",
     "typeof ip daddr . sctp dport . numgen random mod 2 : ip daddr . sctp dport;"},
    {"map", "npep_tcp", "typeof tcp dport . numgen random mod 2 : ip daddr . tcp dport;"},
    {"map", "npep_udp", "typeof udp dport . numgen random mod 2 : ip daddr . udp dport;"},
    {"map", "npep_sctp", "typeof sctp dport . numgen random mod 2 : ip daddr . sctp dport;"},
    {"set", "none", "type ipv4_addr . inet_proto . inet_service;"},
    {"set", "npnone", "type inet_proto . inet_service;"},
    {"set", "hairpin", "type ipv4_addr . ipv4_addr;"},
    {"set", "outside", "type ipv4_addr;"},
};

std::string static_rules(const RulesConfig& config) {
  std::string rules;
  auto rule = [&](const char* chain, const std::string& text) {
    rules += fmt::format("add rule ip {} {} {}\n", config.table, chain, text);
  };
  const std::string services = config.service_cidr.text();
  const std::string pods = config.pod_cidr.text();
  const std::string dns = config.dns_address.text();
  const std::string veths = "\"" + config.interface_prefix + "*\"";

  rule("addresses", fmt::format("{} vmap @sticky", kFrontendKey));
  rule("node_ports", fmt::format("{} vmap @npsticky", kNodePortKey));
  for (int time = 0; time < 2; ++time) rule("services", "jump addresses");
  for (int time = 0; time < 2; ++time)
    rule("services", "ip daddr != 127.0.0.0/8 fib daddr type local jump node_ports");
  rule("nat_pre", "jump services");
  rule("nat_out", "jump services");

  rule("nat_post", "ip saddr . ip daddr @hairpin masquerade fully-random");
  rule("nat_post",
       fmt::format("ip saddr {0} ip daddr != {0} ip daddr != 224.0.0.0/4 oifname != {1} "
                   "masquerade fully-random",
                   pods, veths));
  // Endpoints beyond this machine would answer the client directly.
  rule("nat_post",
       "ct status dnat ip daddr @outside fib saddr type != local masquerade fully-random");

  rule("refuse", "meta l4proto tcp reject with tcp reset");
  rule("refuse", "reject with icmp type port-unreachable");
  // Nothing but the DNS address really exists in the service range.
  rule("unserved", fmt::format("ip daddr {} fib daddr type != local goto refuse", services));
  rule("unserved", "ip daddr . meta l4proto . th dport @none goto refuse");
  rule("unserved", "fib daddr type local meta l4proto . th dport @npnone goto refuse");
  rule("filter_in", "ct state new jump unserved");
  rule("filter_out", "ct state new jump unserved");
  // A late packet that conntrack does not recognise would reach the client with the pod's own
  // address, and the client would reset the connection.
  rule("filter_forward", fmt::format("iifname {} ct state invalid drop", veths));
  rule("filter_forward", "ct state new jump unserved");

  for (const char* chain : {"raw_pre", "raw_out"}) {
    rule(chain, fmt::format("ip daddr {} udp dport 53 notrack", dns));
    rule(chain, fmt::format("ip saddr {} udp sport 53 notrack", dns));
  }
  return rules;
}

bool is_static_chain(std::string_view name) {
  return name == kRulesLayout || std::any_of(std::begin(kChains), std::end(kChains),
                                             [&](const StaticChain& c) { return name == c.name; });
}

bool is_static_set(std::string_view name) {
  return std::any_of(std::begin(kSets), std::end(kSets),
                     [&](const StaticSet& set) { return name == set.name; });
}

void append_elements(std::string& out, const char* verb, const std::string& table,
                     const std::map<std::string, std::vector<std::string>>& elements) {
  for (const auto& [set, list] : elements) {
    fmt::format_to(std::back_inserter(out), "{} element ip {} {} {{ ", verb, table, set);
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out += ", ";
      out += list[i];
    }
    out += " }\n";
  }
}

bool keeps_elements(std::string_view set) {
  return set.rfind("a_", 0) == 0 || set == "hairpin" || set == "outside";
}

std::string endpoint_suffix(const std::string& group, const SocketAddress& endpoint) {
  return fmt::format("{}_{:08x}_{:04x}", group, endpoint.ip.value, endpoint.port);
}

}  // namespace

std::string Batch::text() const {
  std::string out = structure_;
  append_elements(out, "delete", table_, removed_);
  out += rules_;
  append_elements(out, "add", table_, added_);
  out += teardown_;
  return out;
}

std::string frontend_key(const Frontend& frontend) {
  if (!frontend.address) return fmt::format("{} . {}", to_string(frontend.protocol), frontend.port);
  return fmt::format("{} . {} . {}", frontend.address->text(), to_string(frontend.protocol),
                     frontend.port);
}

std::string endpoint_map(const Frontend& frontend) {
  return fmt::format("{}_{}", frontend.address ? "ep" : "npep", to_string(frontend.protocol));
}

std::string endpoint_key(const Frontend& frontend, std::size_t index) {
  if (!frontend.address) return fmt::format("{} . {}", frontend.port, index);
  return fmt::format("{} . {} . {}", frontend.address->text(), frontend.port, index);
}

std::string endpoint_data(const SocketAddress& endpoint) {
  return fmt::format("{} . {}", endpoint.ip.text(), endpoint.port);
}

std::string count_name(bool node_port, std::size_t count) {
  return fmt::format("{}{}", node_port ? 'p' : 'n', count);
}

std::string sticky_chain(const std::string& group) {
  return "s_" + group;
}

std::string endpoint_chain(const std::string& group, const SocketAddress& endpoint) {
  return "e_" + endpoint_suffix(group, endpoint);
}

std::string affinity_set(const std::string& group, const SocketAddress& endpoint) {
  return "a_" + endpoint_suffix(group, endpoint);
}

std::string count_structure(const RulesConfig& config, bool node_port, std::size_t count) {
  std::string name = count_name(node_port, count);
  const std::string& table = config.table;
  std::string text = fmt::format(
      "add set ip {0} {1} {{ type {2}; }}\n"
      "add chain ip {0} {1}\n"
      "add rule ip {0} {3} {4} @{1} goto {1}\n",
      table, name, node_port ? kNodePortType : kFrontendType,
      node_port ? "node_ports" : "addresses", node_port ? kNodePortKey : kFrontendKey);
  // nft gives a rule the protocol that the type of its map names, so each protocol has its own.
  for (std::string_view protocol : {"tcp", "udp", "sctp"}) {
    std::string key = fmt::format("{}{} dport", node_port ? "" : "ip daddr . ", protocol);
    auto rule = [&](const std::string& choice) {
      text +=
          fmt::format("add rule ip {} {} meta l4proto {} dnat ip to {} . numgen {} map @{}_{}\n",
                      table, name, protocol, key, choice, node_port ? "npep" : "ep", protocol);
    };
    rule(fmt::format("random mod {}", count));
    if (count > 1) rule("inc mod 1");
  }
  return text;
}

void write_group(const RulesConfig& config, const std::string& group,
                 const std::vector<SocketAddress>& before, const std::vector<SocketAddress>& after,
                 std::uint32_t seconds, Protocol protocol, Batch& batch) {
  const std::string& table = config.table;
  std::string sticky = fmt::format("ip {} {}", table, sticky_chain(group));
  std::string choices;
  if (!after.empty()) batch.structure(fmt::format("add chain {}\n", sticky));
  // The rules that name sets and chains of endpoints go before these do.
  batch.rules(fmt::format("flush chain {}\n", sticky));
  for (std::size_t i = 0; i < after.size(); ++i) {
    std::string chain = endpoint_chain(group, after[i]);
    std::string set = affinity_set(group, after[i]);
    batch.structure(
        fmt::format("add set ip {0} {1} {{ type ipv4_addr; size 65535; flags dynamic,timeout; }}\n"
                    "add chain ip {0} {2}\n",
                    table, set, chain));
    batch.rules(
        fmt::format("flush chain ip {0} {1}\n"
                    "add rule ip {0} {1} update @{2} {{ ip saddr timeout {3}s }}\n"
                    "add rule ip {0} {1} meta l4proto {4} dnat ip to {5}\n"
                    "add rule {6} ip saddr @{2} goto {1}\n",
                    table, chain, set, seconds, to_string(protocol), after[i].text(), sticky));
    choices += fmt::format("{}{} : goto {}", i > 0 ? ", " : "", i, chain);
  }
  if (!after.empty())
    batch.rules(fmt::format("add rule {} numgen random mod {} vmap {{ {} }}\n", sticky,
                            after.size(), choices));
  for (const SocketAddress& endpoint : before) {
    if (std::find(after.begin(), after.end(), endpoint) != after.end()) continue;
    batch.teardown(
        fmt::format("flush chain ip {0} {1}\ndelete chain ip {0} {1}\ndelete set ip {0} {2}\n",
                    table, endpoint_chain(group, endpoint), affinity_set(group, endpoint)));
  }
  if (after.empty()) batch.teardown(fmt::format("delete chain {}\n", sticky));
}

bool takes_over(const ExistingTable& existing) {
  return existing.present && existing.layout == kRulesLayout;
}

std::string take_over(const RulesConfig& config, const ExistingTable& existing,
                      const std::set<std::string>& chains, const std::set<std::string>& sets) {
  const std::string& table = config.table;
  std::string text = fmt::format("add table ip {}\n", table);
  bool keep = takes_over(existing);
  if (existing.present && !keep)
    text += fmt::format("delete table ip {0}\nadd table ip {0}\n", table);
  if (keep) {
    for (const std::string& chain : existing.chains)
      text += fmt::format("flush chain ip {} {}\n", table, chain);
    for (const std::string& map : existing.maps)
      text += fmt::format("flush map ip {} {}\n", table, map);
    for (const std::string& set : existing.sets)
      if (!keeps_elements(set)) text += fmt::format("flush set ip {} {}\n", table, set);
    for (const std::string& chain : existing.chains)
      if (!is_static_chain(chain) && !chains.count(chain))
        text += fmt::format("delete chain ip {} {}\n", table, chain);
    for (const std::string& set : existing.sets)
      if (!is_static_set(set) && !sets.count(set))
        text += fmt::format("delete set ip {} {}\n", table, set);
  }
  for (const StaticSet& set : kSets)
    text += fmt::format("add {} ip {} {} {{ {} }}\n", set.kind, table, set.name, set.type);
  text += fmt::format("add chain ip {} {}\n", table, kRulesLayout);
  for (const StaticChain& chain : kChains)
    text += chain.hook ? fmt::format("add chain ip {} {} {{ {} }}\n", table, chain.name, chain.hook)
                       : fmt::format("add chain ip {} {}\n", table, chain.name);
  return text + static_rules(config);
}

}  // namespace moth::network::rules_text

namespace moth::network {

bool rules_can_take_over(const ExistingTable& existing) {
  if (existing.layout != kRulesLayout) return false;
  auto among = [](const std::vector<std::string>& names, const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return std::all_of(std::begin(rules_text::kSets), std::end(rules_text::kSets),
                     [&](const rules_text::StaticSet& set) {
                       bool is_map = std::string_view(set.kind) == "map";
                       return among(is_map ? existing.maps : existing.sets, set.name);
                     });
}

}  // namespace moth::network
