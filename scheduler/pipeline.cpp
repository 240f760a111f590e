#include "scheduler/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "scheduler/plugins/plugins.h"

namespace moth::scheduler {

Pipeline::Pipeline(std::vector<std::unique_ptr<Filter>> filters,
                   std::vector<std::unique_ptr<Scorer>> scorers)
    : filters_(std::move(filters)), scorers_(std::move(scorers)) {}

std::vector<std::string> Pipeline::check(const resources::PodView& pod, const NodeInfo& node,
                                         const Snapshot& snapshot) const {
  // Upstream tells the reasons of the first filter that refuses.
  for (const auto& filter : filters_) {
    auto reasons = filter->check(pod, node, snapshot);
    if (!reasons.empty()) return reasons;
  }
  return {};
}

Decision Pipeline::decide(const resources::PodView& pod, const Snapshot& snapshot) const {
  Decision decision;
  if (snapshot.nodes.empty()) {
    decision.message = "no nodes available to schedule pods";
    return decision;
  }
  std::vector<std::vector<std::string>> reasons_by_node;
  double best = -1;
  for (const NodeInfo& node : snapshot.nodes) {
    std::vector<std::string> reasons;
    bool helped = false;
    for (const auto& filter : filters_) {
      reasons = filter->check(pod, node, snapshot);
      if (reasons.empty()) continue;
      helped = filter->helped_by_preemption();
      break;
    }
    if (!reasons.empty()) {
      if (helped) decision.preemptible.push_back(node.node->name());
      reasons_by_node.push_back(std::move(reasons));
      continue;
    }
    double score = 0;
    for (const auto& scorer : scorers_) score += scorer->score(pod, node, snapshot);
    if (score > best) {
      best = score;
      decision.node = node.node->name();
    }
  }
  if (decision.node.empty()) decision.message = explain(reasons_by_node);
  return decision;
}

std::string explain(const std::vector<std::vector<std::string>>& reasons_by_node) {
  std::map<std::string, int> counts;
  for (const auto& reasons : reasons_by_node) {
    for (const std::string& reason : reasons) ++counts[reason];
  }
  std::vector<std::string> parts;
  for (const auto& [reason, count] : counts) parts.push_back(fmt::format("{} {}", count, reason));
  std::sort(parts.begin(), parts.end());
  return fmt::format("0/{} nodes are available: {}.", reasons_by_node.size(),
                     fmt::join(parts, ", "));
}

}  // namespace moth::scheduler
