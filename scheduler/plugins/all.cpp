#include "scheduler/plugins/plugins.h"

namespace moth::scheduler {

Pipeline make_pipeline() {
  std::vector<std::unique_ptr<Filter>> filters;
  filters.push_back(make_node_unschedulable());
  filters.push_back(make_node_name());
  filters.push_back(make_taints());
  filters.push_back(make_node_affinity());
  filters.push_back(make_node_ports());
  filters.push_back(make_resource_fit());
  filters.push_back(make_topology_spread());
  filters.push_back(make_pod_affinity());
  std::vector<std::unique_ptr<Scorer>> scorers;
  scorers.push_back(make_least_allocated());
  scorers.push_back(make_preferred_node_affinity());
  scorers.push_back(make_avoid_soft_taints());
  return {std::move(filters), std::move(scorers)};
}

}  // namespace moth::scheduler
