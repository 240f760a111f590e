// Filters about the node itself: unschedulable, name, taints, affinity.
#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace moth::scheduler {
namespace {

using resources::PodView;
using resources::Taint;

class NodeUnschedulable final : public Filter {
 public:
  std::string_view name() const override { return "NodeUnschedulable"; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    static const Taint kTaint{"node.kubernetes.io/unschedulable", "", "NoSchedule"};
    if (!node.node->unschedulable || resources::tolerates(pod.spec().tolerations, kTaint))
      return {};
    return {"node(s) were unschedulable"};
  }
};

class NodeName final : public Filter {
 public:
  std::string_view name() const override { return "NodeName"; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    if (pod.node_name().empty() || pod.node_name() == node.node->name()) return {};
    return {"node(s) didn't match the requested node name"};
  }
};

class Taints final : public Filter {
 public:
  std::string_view name() const override { return "TaintToleration"; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    for (const Taint& taint : node.node->taints) {
      bool hard = taint.effect == "NoSchedule" || taint.effect == "NoExecute";
      if (hard && !resources::tolerates(pod.spec().tolerations, taint))
        return {"node(s) had untolerated taint(s)"};
    }
    return {};
  }
};

class NodeAffinity final : public Filter {
 public:
  std::string_view name() const override { return "NodeAffinity"; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    std::vector<std::string> refused = {"node(s) didn't match Pod's node affinity/selector"};
    for (const auto& [key, value] : pod.spec().node_selector) {
      auto it = node.node->labels().find(key);
      if (it == node.node->labels().end() || it->second != value) return refused;
    }
    const auto& required = pod.spec().affinity.node_required;
    if (!required) return {};
    bool any = std::any_of(required->begin(), required->end(), [&](const auto& term) {
      return resources::matches(term, node.node->labels(), node.node->name());
    });
    return any ? std::vector<std::string>{} : refused;
  }
};

class PreferredNodeAffinity final : public Scorer {
 public:
  double score(const PodView& pod, const NodeInfo& node, const Snapshot&) const override {
    double sum = 0, most = 0;
    for (const auto& [weight, term] : pod.spec().affinity.node_preferred) {
      most += weight;
      if (resources::matches(term, node.node->labels(), node.node->name())) sum += weight;
    }
    return most > 0 ? 100 * sum / most : 0;
  }
};

class AvoidSoftTaints final : public Scorer {
 public:
  double score(const PodView& pod, const NodeInfo& node, const Snapshot&) const override {
    auto untolerated =
        std::count_if(node.node->taints.begin(), node.node->taints.end(), [&](const Taint& taint) {
          return taint.effect == "PreferNoSchedule" &&
                 !resources::tolerates(pod.spec().tolerations, taint);
        });
    return 100.0 / static_cast<double>(1 + untolerated);
  }
};

}  // namespace

std::unique_ptr<Filter> make_node_unschedulable() {
  return std::make_unique<NodeUnschedulable>();
}
std::unique_ptr<Filter> make_node_name() {
  return std::make_unique<NodeName>();
}
std::unique_ptr<Filter> make_taints() {
  return std::make_unique<Taints>();
}
std::unique_ptr<Filter> make_node_affinity() {
  return std::make_unique<NodeAffinity>();
}
std::unique_ptr<Scorer> make_preferred_node_affinity() {
  return std::make_unique<PreferredNodeAffinity>();
}
std::unique_ptr<Scorer> make_avoid_soft_taints() {
  return std::make_unique<AvoidSoftTaints>();
}

}  // namespace moth::scheduler
