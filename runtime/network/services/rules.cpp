// Why the table looks as it does.
//
// * Everything that changes is an element of a hash map or set, so a change costs the same with ten
//   services as with five thousand; rules exist once per distinct number of endpoints. Verdict maps
//   would be neater, but the kernel walks all their elements whenever one is added (1.3 ms at
//   5,000), so only the few sticky services are in one.
// * A packet keeps to the rules of the moment in which it enters a base chain, but each lookup sees
//   the elements of its own moment. It may look up the count before a transaction and the endpoint
//   after it: so n<k> has a second rule that takes the endpoint of index 0. It may look for a
//   frontend in one set before it moves there and in the other after it has left: so all sets are
//   gone through a second time (kernels before 6.17, too, can miss an element that is replaced).
//   And its rules must know the set that a frontend moves to: so that one is made ahead.
// * A packet may also get its endpoint before a transaction and reach the masquerading chain after
//   it. Were the endpoint out of `hairpin` by then, a pod would get a connection from its own
//   address, which it drops; and since conntrack has settled the matter, the client's further tries
//   go the same way. So elements of `hairpin` and `outside` outlive their endpoint: they are added
//   with it and removed by a later transaction (settle()).
// * A full load never deletes base chains: it flushes and refills what a previous daemon left, so
//   that there is no moment in which neither the old nor the new rules see a packet.
// * External traffic to node ports is never masqueraded: the pods' only route leads back here,
//   so replies find their way and clients keep their addresses.
#include "runtime/network/services/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/network/services/rules_text.h"

namespace moth::network {

namespace {

using namespace rules_text;

struct Backend {
  std::vector<SocketAddress> endpoints;  // sorted, unique
  std::uint32_t affinity_seconds = 0;
  std::string group;  // names the chains of session affinity
};

struct Claim {
  std::string owner;
  std::shared_ptr<const Backend> backend;
};

struct Applied {
  std::vector<SocketAddress> slots;  // index in the ep map
  std::uint32_t affinity_seconds = 0;
  std::string group;
  bool sticky() const { return affinity_seconds > 0; }
};

// A set (or map) and an element of it.
using Place = std::pair<std::string, std::string>;

// Elements that are still in the kernel, although nothing needs them for packets to come.
class Lingering {
 public:
  void add(Place place) { fresh_.insert(std::move(place)); }
  // It is needed again; false when it was not there.
  bool take(const Place& place) {
    return fresh_.erase(place) + waiting_.erase(place) + due_.erase(place) > 0;
  }
  void settle() {
    due_.merge(waiting_);
    waiting_ = std::exchange(fresh_, {});
  }
  std::set<Place> take_due() { return std::exchange(due_, {}); }

 private:
  std::set<Place> fresh_;    // since the last settle()
  std::set<Place> waiting_;  // since the one before
  std::set<Place> due_;
};

struct Group {
  std::vector<SocketAddress> endpoints;
  std::uint32_t seconds = 0;
  Protocol protocol = Protocol::kTcp;
  int references = 0;
};

std::uint64_t fnv(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ull;
  for (unsigned char c : text) value = (value ^ c) * 0x100000001b3ull;
  return value;
}

std::vector<SocketAddress> cleaned(std::vector<SocketAddress> endpoints) {
  std::erase_if(endpoints, [](const SocketAddress& a) { return a.port == 0 || a.ip.value == 0; });
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  return endpoints;
}

// Keeps endpoints where they are if possible, so that few elements change.
std::vector<SocketAddress> arrange(const std::vector<SocketAddress>& old,
                                   const std::vector<SocketAddress>& wanted) {
  std::vector<SocketAddress> slots(wanted.size());
  std::vector<bool> filled(wanted.size(), false);
  std::vector<bool> placed(wanted.size(), false);
  for (std::size_t i = 0; i < std::min(old.size(), slots.size()); ++i) {
    auto found = std::lower_bound(wanted.begin(), wanted.end(), old[i]);
    if (found == wanted.end() || *found != old[i]) continue;
    slots[i] = old[i];
    filled[i] = true;
    placed[static_cast<std::size_t>(found - wanted.begin())] = true;
  }
  std::size_t hole = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (placed[i]) continue;
    while (filled[hole]) ++hole;
    slots[hole] = wanted[i];
    filled[hole] = true;
  }
  return slots;
}

// DNAT of loopback addresses would need route_localnet, which opens them to the network.
bool served_by_listener(const Frontend& frontend) {
  return frontend.address && frontend.address->is_loopback();
}

// Flows may point to endpoints that are gone, or, from the time before there were any, to nowhere.
bool may_leave_flows(const Applied* before, const Applied* after) {
  if (!before || before->slots.empty() || !after) return true;
  return std::any_of(
      before->slots.begin(), before->slots.end(), [&](const SocketAddress& endpoint) {
        return std::find(after->slots.begin(), after->slots.end(), endpoint) == after->slots.end();
      });
}

}  // namespace

const char* const kRulesLayout = "layout_1";

struct RuleSet::Impl {
  RulesConfig config;

  // Wanted. The first claim of a frontend wins; others wait until it goes.
  std::map<Frontend, std::vector<Claim>> claims;
  std::unordered_map<std::string, std::vector<Frontend>> owned;
  std::set<Ipv4> withdrawn;
  std::set<Frontend> dirty;

  // What the kernel has.
  std::map<Frontend, Applied> applied;
  std::map<std::string, Group> groups;
  std::unordered_map<Ipv4, int> endpoint_references;
  std::set<std::string> counts;  // n<k>, p<k> that exist
  Lingering lingering;           // of hairpin and outside

  void claim(const std::string& owner, const Frontend& frontend,
             std::shared_ptr<const Backend> backend);
  void drop(const std::string& owner);
  std::optional<Applied> wanted(const Frontend& frontend) const;
  // The set (or verdict map) that a frontend is an element of, and the element; both empty for
  // none.
  Place place(const Frontend& frontend, const Applied* state) const;
  void change(const Frontend& frontend, const Applied* before, const Applied* after, Batch& batch);
  void change_slots(const Frontend& frontend, const Applied* before, const Applied* after,
                    Batch& batch);
  void reference(const Applied& state, int delta, std::unordered_map<Ipv4, int>& deltas);
  void write_references(const std::unordered_map<Ipv4, int>& deltas, Batch& batch);
  void write_groups(std::map<std::string, Group> touched, Batch& batch);
  Transaction apply(std::set<Frontend> frontends, Batch& batch);
};

void RuleSet::Impl::claim(const std::string& owner, const Frontend& frontend,
                          std::shared_ptr<const Backend> backend) {
  if (frontend.port == 0) return;
  auto& list = claims[frontend];
  for (const Claim& known : list)
    if (known.owner == owner) return;
  list.push_back({owner, std::move(backend)});
  owned[owner].push_back(frontend);
  dirty.insert(frontend);
}

void RuleSet::Impl::drop(const std::string& owner) {
  auto found = owned.find(owner);
  if (found == owned.end()) return;
  for (const Frontend& frontend : found->second) {
    auto list = claims.find(frontend);
    std::erase_if(list->second, [&](const Claim& claim) { return claim.owner == owner; });
    if (list->second.empty()) claims.erase(list);
    dirty.insert(frontend);
  }
  owned.erase(found);
}

std::optional<Applied> RuleSet::Impl::wanted(const Frontend& frontend) const {
  auto found = claims.find(frontend);
  if (found == claims.end()) return std::nullopt;
  const Backend& backend = *found->second.front().backend;
  Applied result{backend.endpoints, backend.affinity_seconds, backend.group};
  if (!withdrawn.empty())
    std::erase_if(result.slots, [&](const SocketAddress& a) { return withdrawn.count(a.ip) > 0; });
  return result;
}

void RuleSet::Impl::change_slots(const Frontend& frontend, const Applied* before,
                                 const Applied* after, Batch& batch) {
  if (served_by_listener(frontend)) return;
  static const std::vector<SocketAddress> none;
  const auto& old_slots = before && !before->sticky() ? before->slots : none;
  const auto& new_slots = after && !after->sticky() ? after->slots : none;
  std::string map = endpoint_map(frontend);
  for (std::size_t i = 0; i < std::max(old_slots.size(), new_slots.size()); ++i) {
    bool had = i < old_slots.size(), has = i < new_slots.size();
    if (had && has && old_slots[i] == new_slots[i]) continue;
    std::string key = endpoint_key(frontend, i);
    if (had) batch.remove(map, fmt::format("{} : {}", key, endpoint_data(old_slots[i])));
    if (has) batch.add(map, fmt::format("{} : {}", key, endpoint_data(new_slots[i])));
  }
}

Place RuleSet::Impl::place(const Frontend& frontend, const Applied* state) const {
  std::string key = frontend_key(frontend);
  bool node_port = !frontend.address;
  if (!state || served_by_listener(frontend)) return {};
  if (state->slots.empty()) {
    // Addresses of the service range are refused without being listed.
    if (frontend.address && config.service_cidr.contains(*frontend.address)) return {};
    return {node_port ? "npnone" : "none", key};
  }
  if (state->sticky())
    return {node_port ? "npsticky" : "sticky", key + " : goto " + sticky_chain(state->group)};
  return {count_name(node_port, state->slots.size()), key};
}

void RuleSet::Impl::change(const Frontend& frontend, const Applied* before, const Applied* after,
                           Batch& batch) {
  change_slots(frontend, before, after, batch);
  Place from = place(frontend, before);
  Place to = place(frontend, after);
  if (from == to) return;
  if (!from.first.empty()) batch.remove(from.first, from.second);
  if (to.first.empty()) return;
  batch.add(to.first, to.second);
  if (!after->slots.empty() && !after->sticky() && counts.insert(to.first).second)
    batch.ahead(to.first, count_structure(config, !frontend.address, after->slots.size()));
}

void RuleSet::Impl::reference(const Applied& state, int delta,
                              std::unordered_map<Ipv4, int>& deltas) {
  for (const SocketAddress& endpoint : state.slots) deltas[endpoint.ip] += delta;
}

void RuleSet::Impl::write_references(const std::unordered_map<Ipv4, int>& deltas, Batch& batch) {
  std::map<Ipv4, int> ordered(deltas.begin(), deltas.end());
  for (const auto& [ip, delta] : ordered) {
    int& count = endpoint_references[ip];
    bool had = count > 0;
    count += delta;
    bool has = count > 0;
    Place place = config.pod_cidr.contains(ip)
                      ? Place("hairpin", fmt::format("{0} . {0}", ip.text()))
                      : Place("outside", ip.text());
    if (has && !had && !lingering.take(place)) batch.add(place.first, place.second);
    if (had && !has) lingering.add(std::move(place));
    if (!has) endpoint_references.erase(ip);
  }
}

void RuleSet::Impl::write_groups(std::map<std::string, Group> touched, Batch& batch) {
  for (auto& [name, group] : touched) {
    auto known = groups.find(name);
    static const Group nothing;
    const Group& old = known == groups.end() ? nothing : known->second;
    if (group.references == 0) group.endpoints.clear();
    bool same =
        known != groups.end() && old.endpoints == group.endpoints && old.seconds == group.seconds;
    if (!same)
      write_group(config, name, old.endpoints, group.endpoints, group.seconds, group.protocol,
                  batch);
    if (group.references == 0) {
      groups.erase(name);
    } else {
      groups[name] = std::move(group);
    }
  }
}

Transaction RuleSet::Impl::apply(std::set<Frontend> frontends, Batch& batch) {
  Transaction transaction;
  std::unordered_map<Ipv4, int> references;
  std::map<std::string, Group> touched;
  auto group_of = [&](const std::string& name) -> Group& {
    auto [it, added] = touched.try_emplace(name);
    if (auto known = groups.find(name); added && known != groups.end()) it->second = known->second;
    return it->second;
  };
  for (const Frontend& frontend : frontends) {
    auto old = applied.find(frontend);
    const Applied* before = old == applied.end() ? nullptr : &old->second;
    std::optional<Applied> after = wanted(frontend);
    if (!before && !after) continue;
    if (after && !after->sticky()) {
      static const std::vector<SocketAddress> none;
      after->slots = arrange(before && !before->sticky() ? before->slots : none, after->slots);
    }
    change(frontend, before, after ? &*after : nullptr, batch);
    if (frontend.protocol == Protocol::kUdp && may_leave_flows(before, after ? &*after : nullptr))
      transaction.udp.push_back({frontend, after ? after->slots : std::vector<SocketAddress>()});
    if (before) reference(*before, -1, references);
    if (after) reference(*after, 1, references);
    if (before && before->sticky() && !before->slots.empty()) --group_of(before->group).references;
    if (after && after->sticky() && !after->slots.empty()) {
      Group& group = group_of(after->group);
      ++group.references;
      group.endpoints = after->slots;
      group.seconds = after->affinity_seconds;
      group.protocol = frontend.protocol;
    }
    if (after) {
      applied[frontend] = std::move(*after);
    } else {
      applied.erase(frontend);
    }
  }
  write_references(references, batch);
  write_groups(std::move(touched), batch);
  return transaction;
}

RuleSet::RuleSet(RulesConfig config) : impl_(std::make_unique<Impl>()) {
  impl_->config = std::move(config);
}
RuleSet::~RuleSet() = default;
RuleSet::RuleSet(RuleSet&&) noexcept = default;
RuleSet& RuleSet::operator=(RuleSet&&) noexcept = default;

void RuleSet::set(const ServiceSpec& service) {
  impl_->drop(service.id);
  for (const ServicePortSpec& port : service.ports) {
    auto backend = std::make_shared<Backend>();
    backend->endpoints = cleaned(port.endpoints);
    backend->affinity_seconds = service.affinity_seconds;
    if (service.affinity_seconds > 0)
      backend->group = fmt::format(
          "{:016x}", fnv(fmt::format("{}/{}/{}", service.id, port.port, to_string(port.protocol))));
    if (service.cluster_ip)
      impl_->claim(service.id, {service.cluster_ip, port.protocol, port.port}, backend);
    for (Ipv4 ip : service.external_ips)
      impl_->claim(service.id, {ip, port.protocol, port.port}, backend);
    impl_->claim(service.id, {std::nullopt, port.protocol, port.node_port}, backend);
  }
}

void RuleSet::set(const HostPortSpec& host_ports) {
  impl_->drop(host_ports.id);
  for (const HostPortSpec::Port& port : host_ports.ports) {
    auto backend = std::make_shared<Backend>();
    backend->endpoints = cleaned({port.target});
    std::optional<Ipv4> address = port.host_ip;
    if (address && address->value == 0) address.reset();
    impl_->claim(host_ports.id, {address, port.protocol, port.host_port}, backend);
  }
}

void RuleSet::erase(const std::string& id) {
  impl_->drop(id);
}

void RuleSet::clear() {
  for (const auto& [frontend, list] : impl_->claims) impl_->dirty.insert(frontend);
  impl_->claims.clear();
  impl_->owned.clear();
}

void RuleSet::withdraw(Ipv4 endpoint) {
  if (!impl_->withdrawn.insert(endpoint).second) return;
  for (const auto& [frontend, list] : impl_->claims)
    for (const SocketAddress& address : list.front().backend->endpoints)
      if (address.ip == endpoint) impl_->dirty.insert(frontend);
}

void RuleSet::readmit(Ipv4 endpoint) {
  if (impl_->withdrawn.erase(endpoint) == 0) return;
  for (const auto& [frontend, list] : impl_->claims)
    for (const SocketAddress& address : list.front().backend->endpoints)
      if (address.ip == endpoint) impl_->dirty.insert(frontend);
}

Transaction RuleSet::flush() {
  Batch batch(impl_->config.table);
  Transaction transaction = impl_->apply(std::exchange(impl_->dirty, {}), batch);
  for (const Place& place : impl_->lingering.take_due()) batch.remove(place.first, place.second);
  for (const auto& [name, structure] : batch.ahead()) transaction.ahead += structure;
  transaction.text = batch.text();
  return transaction;
}

void RuleSet::settle() {
  impl_->lingering.settle();
}

Transaction RuleSet::full_load(const ExistingTable& existing) {
  impl_->applied.clear();
  impl_->groups.clear();
  impl_->endpoint_references.clear();
  impl_->counts.clear();
  impl_->dirty.clear();
  impl_->lingering = {};
  if (takes_over(existing)) {
    for (const std::string& element : existing.hairpin) impl_->lingering.add({"hairpin", element});
    for (const std::string& element : existing.outside) impl_->lingering.add({"outside", element});
  }
  Batch batch(impl_->config.table);
  std::set<Frontend> all;
  for (const auto& [frontend, list] : impl_->claims) all.insert(frontend);
  Transaction transaction = impl_->apply(std::move(all), batch);
  std::set<std::string> chains = impl_->counts;
  std::set<std::string> sets = impl_->counts;
  for (const auto& [name, group] : impl_->groups) {
    chains.insert(sticky_chain(name));
    for (const SocketAddress& endpoint : group.endpoints) {
      chains.insert(endpoint_chain(name, endpoint));
      sets.insert(affinity_set(name, endpoint));
    }
  }
  ExistingTable seen = existing;
  std::string counts;
  for (const auto& [name, structure] : batch.ahead()) {
    counts += structure;
    bool known = std::count(seen.chains.begin(), seen.chains.end(), name) > 0;
    if (known || !takes_over(existing)) continue;
    transaction.ahead += structure;
    seen.chains.push_back(name);
    seen.sets.push_back(name);
  }
  transaction.text = take_over(impl_->config, seen, chains, sets) + counts + batch.text();
  return transaction;
}

std::string RuleSet::removal(const std::string& table) {
  // Adding first makes deleting succeed in any case.
  return fmt::format("add table ip {0}\ndelete table ip {0}\n", table);
}

std::vector<SocketAddress> RuleSet::endpoints(const Frontend& frontend) const {
  auto state = impl_->wanted(frontend);
  return state ? state->slots : std::vector<SocketAddress>();
}

std::vector<Frontend> RuleSet::local_frontends() const {
  std::vector<Frontend> result;
  // Those without address sort first.
  auto at = impl_->claims.begin();
  for (; at != impl_->claims.end() && !at->first.address; ++at) result.push_back(at->first);
  Frontend first_loopback{Ipv4::of(127, 0, 0, 0), Protocol::kTcp, 0};
  for (at = impl_->claims.lower_bound(first_loopback);
       at != impl_->claims.end() && served_by_listener(at->first); ++at)
    if (!impl_->claims.count({std::nullopt, at->first.protocol, at->first.port}))
      result.push_back(at->first);
  return result;
}

std::size_t RuleSet::frontends() const {
  return impl_->claims.size();
}

}  // namespace moth::network
