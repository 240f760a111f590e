#include "scheduler/preemption.h"

#include <algorithm>
#include <tuple>

namespace moth::scheduler {
namespace {

using resources::PodView;

NodeInfo* find_node(Snapshot& snapshot, const std::string& name) {
  for (NodeInfo& node : snapshot.nodes) {
    if (node.node->name() == name) return &node;
  }
  return nullptr;
}

// Removes every less important pod of the node, then brings back as many as still leave room, the
// most important first.
std::optional<std::vector<const PodView*>> victims_on(const PodView& pod, Snapshot snapshot,
                                                      const Pipeline& pipeline,
                                                      const std::string& name) {
  NodeInfo* node = find_node(snapshot, name);
  if (!node) return std::nullopt;
  std::vector<const PodView*> lower;
  for (const PodView* other : node->pods) {
    if (other->spec().priority < pod.spec().priority) lower.push_back(other);
  }
  if (lower.empty()) return std::nullopt;
  for (const PodView* other : lower) node->remove(*other);
  if (!pipeline.check(pod, *node, snapshot).empty()) return std::nullopt;
  std::stable_sort(lower.begin(), lower.end(), [](const PodView* a, const PodView* b) {
    return a->spec().priority > b->spec().priority;
  });
  std::vector<const PodView*> victims;
  for (const PodView* other : lower) {
    node->add(*other);
    if (pipeline.check(pod, *node, snapshot).empty()) continue;
    node->remove(*other);
    victims.push_back(other);
  }
  return victims;
}

}  // namespace

std::optional<PreemptionPlan> plan_preemption(const PodView& pod, const Snapshot& snapshot,
                                              const Pipeline& pipeline,
                                              const std::vector<std::string>& candidates) {
  if (pod.spec().preemption_never) return std::nullopt;
  std::optional<PreemptionPlan> best;
  std::tuple<std::int64_t, std::int64_t, std::size_t> best_cost;
  for (const std::string& name : candidates) {
    auto victims = victims_on(pod, snapshot, pipeline, name);
    if (!victims || victims->empty()) continue;
    std::int64_t highest = INT64_MIN, sum = 0;
    for (const PodView* victim : *victims) {
      highest = std::max<std::int64_t>(highest, victim->spec().priority);
      sum += victim->spec().priority;
    }
    std::tuple cost{highest, sum, victims->size()};
    if (best && cost >= best_cost) continue;
    best_cost = cost;
    best = PreemptionPlan{name, *std::move(victims)};
  }
  return best;
}

}  // namespace moth::scheduler
