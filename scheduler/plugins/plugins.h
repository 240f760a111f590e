#pragma once
// The built-in filters and scorers; the texts are upstream's (k8s-behaviours 12.1).
#include <memory>

#include "scheduler/pipeline.h"

namespace moth::scheduler {

std::unique_ptr<Filter> make_node_unschedulable();
std::unique_ptr<Filter> make_node_name();
std::unique_ptr<Filter> make_taints();
std::unique_ptr<Filter> make_node_affinity();
std::unique_ptr<Filter> make_node_ports();
std::unique_ptr<Filter> make_resource_fit();
std::unique_ptr<Filter> make_pod_affinity();
std::unique_ptr<Filter> make_topology_spread();

std::unique_ptr<Scorer> make_least_allocated();
std::unique_ptr<Scorer> make_preferred_node_affinity();
std::unique_ptr<Scorer> make_avoid_soft_taints();

}  // namespace moth::scheduler
