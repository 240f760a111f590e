#pragma once
// RuleSet: the service table as data. It compiles ServiceSpecs into frontends, and the difference
// between what the kernel has and what is wanted into one nft transaction (text). Pure; one thread.
//
// Layout of table ip moth_<instance> (runtime/network/services/rules.cpp explains the choices):
//   sets n<k>, p<k>   frontends with k endpoints: address . protocol . port; node and host ports:
//   protocol . port map ep            address . protocol . port . index -> endpoint address . port
//   map npep          protocol . port . index           -> endpoint address . port
//   maps sticky, npsticky  frontends with session affinity -> goto s_<group>
//   sets none, npnone      frontends outside the service range that have no endpoint
//   set hairpin       pod . pod: the endpoints that may reach themselves
//   set outside       endpoints that are no pods
//   (both keep an endpoint some seconds longer than any frontend has it: settle())
//   chains n<k>, p<k>: spread over k endpoints; s_*, e_*, sets a_*: session affinity
#include <compare>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/network/services/spec.h"

namespace moth::network {

// Where clients connect to. Without an address: every address of the machine but loopback.
struct Frontend {
  std::optional<Ipv4> address;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  auto operator<=>(const Frontend&) const = default;
};

struct RulesConfig {
  std::string table;             // nft_table(instance)
  std::string interface_prefix;  // of the pods' veths
  Cidr pod_cidr;
  Cidr service_cidr;
  Ipv4 dns_address;
};

// One atomic change.
struct Transaction {
  // nft commands that change nothing for packets, but must be in effect before `text` is: sets that
  // elements move to, with the rules that look into them. Often empty.
  std::string ahead;
  std::string text;  // nft commands; empty: nothing to do
  // UDP frontends that lost an endpoint or got their first, with the endpoints that now serve them:
  // flows to others must be forgotten.
  std::vector<std::pair<Frontend, std::vector<SocketAddress>>> udp;
  bool empty() const { return text.empty(); }
};

// What a previous run left in the kernel (names only), so that a full load can take it over
// without a moment without rules.
struct ExistingTable {
  bool present = false;
  std::string layout;  // the table's layout mark; another one: the table is replaced
  std::vector<std::string> chains, sets, maps;
  std::vector<std::string> hairpin, outside;  // the elements of these sets
};

// False when a set or map of ours has become something else: then the table cannot be refilled.
bool rules_can_take_over(const ExistingTable& existing);

class RuleSet {
 public:
  explicit RuleSet(RulesConfig config);
  ~RuleSet();
  RuleSet(RuleSet&&) noexcept;
  RuleSet& operator=(RuleSet&&) noexcept;

  // Wanted state. Cheap; nothing is computed until flush().
  void set(const ServiceSpec& service);
  void set(const HostPortSpec& host_ports);
  void erase(const std::string& id);  // unknown: ignored
  void clear();
  // Endpoints at this address are left out of every frontend until readmit().
  void withdraw(Ipv4 endpoint);
  void readmit(Ipv4 endpoint);

  // The change from the state of the last transaction to the wanted one, and remembers the wanted
  // one as the kernel's. When the kernel refuses it, the caller must use full_load().
  Transaction flush();
  // Says that no packet is on its way any more that was in the kernel at the previous settle(). The
  // next transaction then masquerades no longer for endpoints that were gone by then. Elements that
  // wait for it do no harm: nothing else has such addresses.
  void settle();
  // Everything, in one transaction, whatever the kernel has.
  Transaction full_load(const ExistingTable& existing);
  // Text that removes the table; works when there is none.
  static std::string removal(const std::string& table);

  // Endpoints that serve a frontend now (wanted state); empty when unknown.
  std::vector<SocketAddress> endpoints(const Frontend& frontend) const;
  // Node and host ports of every address or of a loopback address, with endpoints or not: what the
  // loopback listeners serve.
  std::vector<Frontend> local_frontends() const;
  std::size_t frontends() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The layout mark of tables written by this version.
extern const char* const kRulesLayout;

}  // namespace moth::network
