#pragma once
// Snapshot: what scheduling decides upon: the nodes, the pods on them and what those take. Built
// from committed state for one decision; the views it points to live as long as its objects, which
// it holds. Control thread.
#include <map>
#include <string>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/core_v1/node_view.h"
#include "api/resources/core_v1/pod_view.h"

namespace moth::scheduler {

struct NodeInfo {
  ObjectPtr object;
  const resources::NodeView* node = nullptr;
  std::vector<const resources::PodView*> pods;  // assigned and not finished
  resources::ResourceList requested;            // of those pods

  void add(const resources::PodView& pod);
  void remove(const resources::PodView& pod);
};

struct Snapshot {
  std::vector<NodeInfo> nodes;
  std::vector<ObjectPtr> held;               // the pods
  std::map<std::string, Labels> namespaces;  // labels by name, for namespace selectors

  static Snapshot build(const std::vector<ObjectPtr>& nodes, const std::vector<ObjectPtr>& pods,
                        const std::vector<ObjectPtr>& namespaces);
};

}  // namespace moth::scheduler
