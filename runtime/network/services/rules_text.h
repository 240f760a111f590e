#pragma once
// The words of RuleSet: names and nft texts. Pure. Internal to this folder.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/network/services/rules.h"

namespace moth::network::rules_text {

// Collects the parts of one transaction and puts them into an order that the kernel accepts:
// structure, deleted elements, rules, added elements, deleted structure.
class Batch {
 public:
  explicit Batch(std::string table) : table_(std::move(table)) {}
  void add(const std::string& set, std::string element) {
    added_[set].push_back(std::move(element));
  }
  void remove(const std::string& set, std::string element) {
    removed_[set].push_back(std::move(element));
  }
  void structure(std::string text) { structure_ += text; }
  // What a transaction before this one brings in (Transaction::ahead); not part of text().
  void ahead(const std::string& name, std::string text) { ahead_[name] = std::move(text); }
  const std::map<std::string, std::string>& ahead() const { return ahead_; }
  void rules(std::string text) { rules_ += text; }
  void teardown(std::string text) { teardown_ += text; }
  std::string text() const;

 private:
  std::string table_;
  std::map<std::string, std::vector<std::string>> added_, removed_;
  std::map<std::string, std::string> ahead_;
  std::string structure_, rules_, teardown_;
};

std::string frontend_key(const Frontend& frontend);  // "10.96.0.1 . tcp . 80" or "tcp . 30080"
std::string endpoint_map(const Frontend& frontend);  // "ep_tcp", "npep_udp"
std::string endpoint_key(const Frontend& frontend, std::size_t index);  // "10.96.0.1 . 80 . 2"
std::string endpoint_data(const SocketAddress& endpoint);               // "10.1.0.2 . 8080"
std::string count_name(bool node_port, std::size_t count);  // "n3", "p3": a set and a chain
std::string sticky_chain(const std::string& group);
std::string endpoint_chain(const std::string& group, const SocketAddress& endpoint);
std::string affinity_set(const std::string& group, const SocketAddress& endpoint);

// The set of frontends with `count` endpoints, the chain that spreads over them, and the rule
// between.
std::string count_structure(const RulesConfig& config, bool node_port, std::size_t count);

// Brings the chains and sets of one sticky service port from `before` to `after` (empty: it goes).
void write_group(const RulesConfig& config, const std::string& group,
                 const std::vector<SocketAddress>& before, const std::vector<SocketAddress>& after,
                 std::uint32_t seconds, Protocol protocol, Batch& batch);

// Whether a full load refills the table that is there.
bool takes_over(const ExistingTable& existing);

// The static part of the table, with whatever `existing` says is there flushed or deleted, except
// for `chains` and `sets`, which the rest of the transaction fills (affinity sets and those of
// masquerading keep their elements).
std::string take_over(const RulesConfig& config, const ExistingTable& existing,
                      const std::set<std::string>& chains, const std::set<std::string>& sets);

}  // namespace moth::network::rules_text
