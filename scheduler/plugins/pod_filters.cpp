// Filters about other pods: affinity, anti-affinity, topology spread.
#include <algorithm>
#include <map>

#include "scheduler/plugins/plugins.h"

namespace moth::scheduler {
namespace {

using resources::PodAffinityTerm;
using resources::PodView;

const std::string* topology_value(const NodeInfo& node, const std::string& key) {
  auto it = node.node->labels().find(key);
  return it == node.node->labels().end() ? nullptr : &it->second;
}

// Whether a term of a pod in `own_ns` speaks of `other`.
bool speaks_of(const PodAffinityTerm& term, const std::string& own_ns, const PodView& other,
               const Snapshot& snapshot) {
  bool in_scope = std::find(term.namespaces.begin(), term.namespaces.end(), other.ns()) !=
                  term.namespaces.end();
  if (term.namespaces.empty() && !term.namespace_selector) in_scope = other.ns() == own_ns;
  if (!in_scope && term.namespace_selector) {
    auto labels = snapshot.namespaces.find(other.ns());
    in_scope =
        labels != snapshot.namespaces.end() && term.namespace_selector->matches(labels->second);
  }
  return in_scope && term.selector.matches(other.meta().labels);
}

// Whether some pod in the topology domain of `node` is meant by the term.
bool present(const PodAffinityTerm& term, const std::string& own_ns, const NodeInfo& node,
             const Snapshot& snapshot) {
  const std::string* domain = topology_value(node, term.topology_key);
  if (!domain) return false;
  for (const NodeInfo& other : snapshot.nodes) {
    const std::string* value = topology_value(other, term.topology_key);
    if (!value || *value != *domain) continue;
    for (const PodView* pod : other.pods) {
      if (speaks_of(term, own_ns, *pod, snapshot)) return true;
    }
  }
  return false;
}

bool present_anywhere(const PodAffinityTerm& term, const std::string& own_ns,
                      const Snapshot& snapshot) {
  for (const NodeInfo& node : snapshot.nodes) {
    for (const PodView* pod : node.pods) {
      if (speaks_of(term, own_ns, *pod, snapshot)) return true;
    }
  }
  return false;
}

class PodAffinity final : public Filter {
 public:
  std::string_view name() const override { return "InterPodAffinity"; }
  bool helped_by_preemption() const override { return true; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot& snapshot) const override {
    for (const PodAffinityTerm& term : pod.spec().affinity.pod_required) {
      if (!topology_value(node, term.topology_key))
        return {"node(s) didn't match pod affinity rules"};
      // The first pod of a group that wants to be near itself may start it.
      bool first =
          !present_anywhere(term, pod.ns(), snapshot) && speaks_of(term, pod.ns(), pod, snapshot);
      if (!first && !present(term, pod.ns(), node, snapshot))
        return {"node(s) didn't match pod affinity rules"};
    }
    for (const PodAffinityTerm& term : pod.spec().affinity.pod_anti_required) {
      if (present(term, pod.ns(), node, snapshot))
        return {"node(s) didn't match pod anti-affinity rules"};
    }
    for (const NodeInfo& other : snapshot.nodes) {
      for (const PodView* existing : other.pods) {
        for (const PodAffinityTerm& term : existing->spec().affinity.pod_anti_required) {
          const std::string* here = topology_value(node, term.topology_key);
          const std::string* there = topology_value(other, term.topology_key);
          if (here && there && *here == *there && speaks_of(term, existing->ns(), pod, snapshot)) {
            return {"node(s) didn't satisfy existing pods anti-affinity rules"};
          }
        }
      }
    }
    return {};
  }
};

class TopologySpread final : public Filter {
 public:
  std::string_view name() const override { return "PodTopologySpread"; }
  bool helped_by_preemption() const override { return true; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot& snapshot) const override {
    for (const auto& constraint : pod.spec().topology_spread) {
      if (constraint.schedule_anyway) continue;
      const std::string* domain = topology_value(node, constraint.topology_key);
      if (!domain)
        return {"node(s) didn't match pod topology spread constraints (missing required label)"};
      std::map<std::string, int> counts;
      for (const NodeInfo& other : snapshot.nodes) {
        const std::string* value = topology_value(other, constraint.topology_key);
        if (!value) continue;
        int& count = counts[*value];
        for (const PodView* existing : other.pods) {
          bool counted = existing->ns() == pod.ns() && !existing->is_deleting() &&
                         constraint.selector.matches(existing->meta().labels);
          if (counted) ++count;
        }
      }
      int fewest = counts.begin()->second;
      for (const auto& [value, count] : counts) fewest = std::min(fewest, count);
      if (static_cast<int>(counts.size()) < constraint.min_domains) fewest = 0;
      int self = constraint.selector.matches(pod.meta().labels) ? 1 : 0;
      if (counts[*domain] + self - fewest > constraint.max_skew) {
        return {"node(s) didn't match pod topology spread constraints"};
      }
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Filter> make_pod_affinity() {
  return std::make_unique<PodAffinity>();
}
std::unique_ptr<Filter> make_topology_spread() {
  return std::make_unique<TopologySpread>();
}

}  // namespace moth::scheduler
