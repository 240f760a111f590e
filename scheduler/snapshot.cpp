#include "scheduler/snapshot.h"

#include <algorithm>

namespace moth::scheduler {

void NodeInfo::add(const resources::PodView& pod) {
  pods.push_back(&pod);
  resources::add(requested, pod.requests());
}

void NodeInfo::remove(const resources::PodView& pod) {
  auto it = std::find(pods.begin(), pods.end(), &pod);
  if (it == pods.end()) return;
  pods.erase(it);
  for (const auto& [name, amount] : pod.requests()) requested[name] -= amount;
}

Snapshot Snapshot::build(const std::vector<ObjectPtr>& nodes, const std::vector<ObjectPtr>& pods,
                         const std::vector<ObjectPtr>& namespaces) {
  Snapshot snapshot;
  std::map<std::string, std::size_t, std::less<>> by_name;
  for (const ObjectPtr& object : nodes) {
    by_name[object->name()] = snapshot.nodes.size();
    snapshot.nodes.push_back({object, &object->view<resources::NodeView>(), {}, {}});
  }
  for (const ObjectPtr& object : pods) {
    const auto& pod = object->view<resources::PodView>();
    auto node = by_name.find(pod.node_name());
    if (node == by_name.end() || pod.is_finished()) continue;
    snapshot.nodes[node->second].add(pod);
    snapshot.held.push_back(object);
  }
  for (const ObjectPtr& object : namespaces)
    snapshot.namespaces[object->name()] = object->meta().labels;
  return snapshot;
}

}  // namespace moth::scheduler
